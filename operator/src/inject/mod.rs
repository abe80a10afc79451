//! From a pod to the guarded pod. Pure.
