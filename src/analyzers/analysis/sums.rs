//! Structures of counters that add up field by field.

/// Defines a structure of `u64` counters with `merge`.
macro_rules! sums {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$field_meta:meta])* $field:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        $vis struct $name { $($(#[$field_meta])* $vis $field: u64,)* }

        impl $name {
            /// Adds another one's counters. The order and the grouping of additions make no difference.
            $vis fn merge(&mut self, other: &Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)*
            }
        }
    };
}

pub(super) use sums;
