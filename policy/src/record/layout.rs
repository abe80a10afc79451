//! Names of the files of a recording folder.
