//! Condition types and reasons of our kinds. They are an interface: people alert on them, so none is ever renamed.

use std::fmt;

/// Defines a closed set of words that print as they are named.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$word_doc])* $word),+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$word),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => stringify!($word)),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(
    /// What a condition is about.
    ConditionType {
        /// The object is valid and meant for something that exists.
        Accepted,
        /// Every pod enforces the revision that the object compiles to.
        Programmed,
        /// Evidence says that no traffic goes around the sidecar.
        BypassProtected,
        /// Sessions are recorded as the gateway asks.
        Recording,
        /// Every tool is as it was pinned.
        ToolsPinned,
        /// The policy's own tests pass.
        TestsPassed,
        /// All of the above that apply.
        Ready,
        /// Work is under way (kstatus); present only when true.
        Reconciling,
        /// Work cannot go on without a person (kstatus); present only when true.
        Stalled,
    }
);

words!(
    /// Why a condition is as it is.
    Reason {
        Accepted,
        /// The object does not compile; the message names the field.
        Invalid,
        /// A stored rule no longer compiles: a Deny or hold matches everything, an Allow nothing.
        RuleUnreadable,
        /// A gateway that a policy names does not exist (yet).
        TargetNotFound,
        /// An older gateway selects the same pods.
        SelectorConflict,
        /// The gateway asks for less than a guardrail demands; it denies everything.
        BelowGuardrail,
        /// The compiled policy does not fit its ConfigMaps.
        PolicyTooLarge,
        Programmed,
        /// Pods still enforce an older revision.
        Pending,
        /// A pod must be restarted before it can be guarded as asked.
        RestartRequired,
        Proven,
        /// Nothing captures the traffic.
        NoCapture,
        /// A path around the sidecar answered.
        BypassFound,
        /// Nobody has looked yet.
        Unproven,
        Recording,
        /// Recording is switched off.
        Disabled,
        /// Events were lost; the gap itself is recorded.
        Gap,
        Pinned,
        /// A tool's definition is not the pinned one.
        ToolChanged,
        TestsPassed,
        TestFailed,
        /// The policy has no tests.
        NoTests,
        Ready,
        NotReady,
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_kubernetes_takes_as_type_and_reason() {
        let types = ConditionType::ALL.iter().map(|word| word.as_str());
        let reasons = Reason::ALL.iter().map(|word| word.as_str());
        for word in types.chain(reasons) {
            assert!(word.starts_with(|c: char| c.is_ascii_uppercase()), "{word}");
            assert!(word.chars().all(|c| c.is_ascii_alphanumeric()), "{word}");
        }
    }
}
