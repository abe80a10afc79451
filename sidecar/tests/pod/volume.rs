//! The mounted folder, written as the kubelet's atomic writer does: a new folder beside the old one, a new link, and
//! the rename of that link over `..data`.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use sallyport_policy::bundle::shards::{MANIFEST, Manifest, SHARDS, shard_name};
use tempfile::TempDir;

pub struct Volume {
    folder: TempDir,
    swaps: Cell<u32>,
}

impl Volume {
    /// Mounted, and empty.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            swaps: Cell::new(0),
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn publish(&self, envelope: &[u8], generation: u64) {
        let (manifest, shards) = Manifest::split(envelope, generation).unwrap();
        self.write(&manifest, &shards);
    }

    /// Swaps the content, whatever it is.
    pub fn write(&self, manifest: &[u8], shards: &[&[u8]; SHARDS]) {
        let root = self.folder.path();
        self.swaps.set(self.swaps.get() + 1);
        let before = fs::read_link(root.join("..data")).ok();
        let fresh = format!("..2026_11_23_{}", self.swaps.get());
        fs::create_dir(root.join(&fresh)).unwrap();
        fs::write(root.join(&fresh).join(MANIFEST), manifest).unwrap();
        for (place, shard) in shards.iter().enumerate() {
            fs::write(root.join(&fresh).join(shard_name(place)), shard).unwrap();
        }
        symlink(&fresh, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        for name in (0..SHARDS).map(shard_name).chain([MANIFEST.to_owned()]) {
            let link = root.join(&name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(&name), link).unwrap();
            }
        }
        if let Some(before) = before {
            fs::remove_dir_all(root.join(before)).unwrap();
        }
    }
}
