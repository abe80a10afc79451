//! The operator's own certificate authority: keys that serve webhooks and sidecars, rotated before they end.
