//! Images without a container engine: an OCI archive from files, the same bytes each time.
//!
//! Layout: OCI image-spec 1.1 (`oci-layout`, `index.json`, `blobs/sha256/…`). What containerd is told as the image's
//! name is the annotation `io.containerd.image.name`.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The image of a pod's first process, which holds its namespaces open.
pub(super) fn pause(programs: &Path) -> Result<Image<'static>> {
    let program = programs.join("pause");
    Ok(Image {
        name: PAUSE,
        entrypoint: vec!["/pause".to_owned()],
        user: "65535:65535",
        entries: vec![Entry {
            path: "pause".to_owned(),
            mode: 0o755,
            content: std::fs::read(&program)
                .with_context(|| format!("cannot read {}", program.display()))?,
        }],
    })
}

/// The image that holds a pod's namespaces open.
pub(super) const PAUSE: &str = "docker.io/sallyport/pause:1";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// One file of an image; folders above it come by themselves.
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) content: Vec<u8>,
}

/// An image of one layer.
pub(super) struct Image<'a> {
    pub(super) name: &'a str,
    pub(super) entrypoint: Vec<String>,
    pub(super) user: &'a str,
    pub(super) entries: Vec<Entry>,
}

impl Image<'_> {
    /// Writes the archive and gives the digest of its manifest, by which pods can name it.
    pub(super) fn write(&self, path: &Path) -> Result<String> {
        let layer = layer(&self.entries)?;
        let layer_digest = sha256(&layer);
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "config": {"Entrypoint": self.entrypoint, "User": self.user},
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        })
        .to_string()
        .into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": described("application/vnd.oci.image.config.v1+json", &config),
            "layers": [described("application/vnd.oci.image.layer.v1.tar", &layer)],
        })
        .to_string()
        .into_bytes();
        let digest = sha256(&manifest);
        let listed = json!({
            "mediaType": MANIFEST, "digest": digest, "size": manifest.len(),
            "annotations": {"io.containerd.image.name": self.name},
        });
        let index = json!({"schemaVersion": 2, "manifests": [listed]}).to_string();
        let blobs = [layer, config, manifest].map(|content| Entry {
            path: format!(
                "blobs/sha256/{}",
                sha256(&content).trim_start_matches("sha256:")
            ),
            mode: 0o644,
            content,
        });
        let head = [
            ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#.to_owned()),
            ("index.json", index),
        ]
        .map(|(path, text)| Entry {
            path: path.to_owned(),
            mode: 0o644,
            content: text.into_bytes(),
        });
        let whole = layer_of(head.iter().chain(&blobs))?;
        std::fs::write(path, whole).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(digest)
    }
}

fn described(media: &str, blob: &[u8]) -> Value {
    json!({"mediaType": media, "digest": sha256(blob), "size": blob.len()})
}

fn layer(entries: &[Entry]) -> Result<Vec<u8>> {
    layer_of(entries.iter())
}

fn layer_of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(entry.content.len())?);
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0); // the same bytes each time
        tar.append_data(&mut header, &entry.path, entry.content.as_slice())?;
    }
    Ok(tar.into_inner()?)
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    format!("sha256:{}", hex::encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_are_the_same_image() {
        let folder = tempfile::tempdir().unwrap();
        let image = |name| Image {
            name,
            entrypoint: vec!["/pause".to_owned()],
            user: "65535:65535",
            entries: vec![Entry {
                path: "pause".to_owned(),
                mode: 0o755,
                content: b"program".to_vec(),
            }],
        };
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        assert_eq!(
            image("a:1").write(&one).unwrap(),
            image("a:1").write(&two).unwrap()
        );
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
        // Its name is no part of its digest, so one image can have several.
        let three = folder.path().join("three");
        assert_eq!(
            image("a:1").write(&one).unwrap(),
            image("b:1").write(&three).unwrap()
        );
    }
}
