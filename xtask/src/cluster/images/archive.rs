//! Images without a container engine: an OCI archive from files, the same bytes each time.
//!
//! Layout: OCI image-spec 1.1 (`oci-layout`, `index.json`, `blobs/sha256/…`). What containerd is told as the image's
//! name is the annotation `io.containerd.image.name`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What lies at a path of an image; root owns it all.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    File { mode: u32, content: Vec<u8> },
    Link(String),
    Folder { mode: u32 },
}

/// Files by their path below `/`, in the order of their paths: the same files are the same bytes.
pub(super) type Files = BTreeMap<String, Entry>;

/// A layer as it stands in the archive.
#[derive(Debug)]
pub(super) struct Layer {
    digest: String,
    bytes: Vec<u8>,
}

impl Layer {
    pub(super) fn new(files: &Files) -> Result<Self> {
        let mut tar = Builder::new(Vec::new());
        for (path, entry) in files {
            append(&mut tar, path, entry).with_context(|| format!("/{path} of a layer"))?;
        }
        let bytes = tar.into_inner()?;
        Ok(Self {
            digest: sha256(&bytes),
            bytes,
        })
    }
}

/// What an image runs, and from which files. Layers are lent, because images share them.
#[derive(Debug)]
pub(super) struct Image<'a> {
    /// Its full name with a tag.
    pub(super) name: &'a str,
    pub(super) entrypoint: &'a [&'a str],
    pub(super) command: &'a [&'a str],
    /// `UID:GID`, or nothing where the image is to declare none.
    pub(super) user: &'a str,
    pub(super) layers: &'a [&'a Layer],
}

impl Image<'_> {
    /// Writes the archive and gives the digest of its manifest, by which pods can name it.
    pub(super) fn write(&self, path: &Path) -> Result<String> {
        let (config, manifest) = self.described()?;
        let digest = sha256(&manifest);
        let index = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": MANIFEST, "digest": digest, "size": manifest.len(),
            "annotations": {"io.containerd.image.name": self.name},
        }]});
        let mut files = Files::new();
        let mut add = |path: &str, content: Vec<u8>| {
            let mode = 0o644;
            files.insert(path.to_owned(), Entry::File { mode, content });
        };
        add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        add("index.json", index.to_string().into_bytes());
        for blob in [config, manifest] {
            add(&place(&sha256(&blob)), blob);
        }
        for layer in self.layers {
            add(&place(&layer.digest), layer.bytes.clone());
        }
        std::fs::write(path, Layer::new(&files)?.bytes)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(digest)
    }

    fn described(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let digests: Vec<&str> = self.layers.iter().map(|it| it.digest.as_str()).collect();
        let config = json!({
            "architecture": architecture()?, "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint, "Cmd": self.command, "User": self.user,
                "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            },
            "rootfs": {"type": "layers", "diff_ids": digests},
        })
        .to_string()
        .into_bytes();
        let blob =
            |media, digest: &str, size| json!({"mediaType": media, "digest": digest, "size": size});
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|layer| blob(LAYER, &layer.digest, layer.bytes.len()))
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": blob(CONFIG, &sha256(&config), config.len()),
            "layers": layers,
        });
        Ok((config, manifest.to_string().into_bytes()))
    }
}

fn append(tar: &mut Builder<Vec<u8>>, path: &str, entry: &Entry) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0); // the same bytes each time
    match entry {
        Entry::File { mode, content } => {
            header.set_mode(*mode);
            header.set_size(u64::try_from(content.len())?);
            tar.append_data(&mut header, path, content.as_slice())?;
        }
        Entry::Link(target) => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            header.set_size(0);
            tar.append_link(&mut header, path, target)?;
        }
        Entry::Folder { mode } => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(*mode);
            header.set_size(0);
            tar.append_data(&mut header, path, std::io::empty())?;
        }
    }
    Ok(())
}

fn place(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// This machine's architecture, in the words of images.
fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => anyhow::bail!("images are not made on {other} yet"),
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    format!("sha256:{}", hex::encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, content: &[u8], path: &Path) -> Result<String> {
        let content = content.to_vec();
        let program = Entry::File {
            mode: 0o755,
            content,
        };
        let link = Entry::Link("program".to_owned());
        let files = Files::from([("program".to_owned(), program), ("other".to_owned(), link)]);
        let layer = Layer::new(&files)?;
        Image {
            name,
            entrypoint: &["/program"],
            command: &[],
            user: "65535:65535",
            layers: &[&layer],
        }
        .write(path)
    }

    #[test]
    fn the_same_files_are_the_same_image_whatever_its_name() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |name| folder.path().join(name);
        let first = image("a:1", b"x", &at("one"))?;
        assert_eq!(first, image("a:1", b"x", &at("two"))?);
        assert_eq!(std::fs::read(at("one"))?, std::fs::read(at("two"))?);
        // Its name is no part of its digest, so one image can have several.
        assert_eq!(first, image("b:1", b"x", &at("three"))?);
        assert_ne!(first, image("a:1", b"y", &at("four"))?);
        Ok(())
    }
}
