//! [`settings!`](crate::settings) and [`list!`](crate::list).

/// A struct whose fields are keys of a table: type, default and range of each are stated once.
///
/// A field is `pub name: type = default, rule;`, the rule what its key takes: [`whole`](crate::whole),
/// [`below`](crate::below), [`text`](crate::text), ... A type with a rule of its own (bool, a nested struct, a
/// [`list!`](crate::list)) names none. Defaults and rules may use the fields before them. Between documentation and
/// name may stand, in this order
///
/// - `#[was("old")]`: a name that the key had once, still read;
/// - `#[shown("1 / keep_prob", of keep_prob)]`: the default in words, where it is computed, and the key of the same table
///   that it is computed from;
/// - `#[only(choice, "with what", |s| condition)]`: it is read only where the condition on the struct holds, which
///   depends on `choice`, another key, if it is one of the same table.
///
/// `name as "key": ..` where the key is called otherwise. After the struct `check path;` names a
/// `fn(&mut Self, &Reader)` that runs once each key has a good value, with [`Reader::fault`](crate::Reader::fault).
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $sdoc:literal])*
        $(#[derive($($derive:ident),*)])*
        $sv:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $(#[was($($old:literal),*)])?
                $(#[shown($shown:literal $(, of $from:ident)?)])?
                $(#[only($($on:ident,)? $with:literal, $holds:expr)])?
                $v:vis $field:ident $(as $key:literal)? : $ty:ty = $default:expr $(, $rule:expr)? ;
            )*
        }
        $(check $check:path;)?
    ) => {
        $(#[doc = $sdoc])*
        #[derive(Clone, Debug, PartialEq)]
        $(#[derive($($derive),*)])*
        $sv struct $name {
            $( $(#[doc = $doc])* $v $field: $ty, )*
        }

        impl Default for $name {
            fn default() -> Self {
                $( let $field: $ty = $default; )*
                $name { $($field),* }
            }
        }

        #[allow(unused_variables, unused_mut, clippy::redundant_closure_call)]
        impl $crate::Settings for $name {
            const DOC: &'static str = concat!($($sdoc, "\n"),*);

            fn keys() -> Vec<$crate::Key> {
                let mut keys = Vec::new();
                $(
                    let $field: $ty = $default;
                    keys.extend($crate::described(
                        $crate::Takes::<$ty>::keys(
                            &$crate::__rule!($($rule)?), $crate::__key!($field $($key)?), &$field),
                        concat!($($doc, "\n"),*),
                        &[$($($old),*)?],
                        None$(.or(Some(($shown, None$(.or(Some(stringify!($from))))?))))?,
                        None$(.or(Some($crate::Only {
                            key: stringify!($($on)?), value: None, text: $with.to_owned() })))?,
                    ));
                )*
                keys
            }

            fn read(table: &$crate::Reader<'_>, inherited: Option<&Self>) -> Self {
                $(
                    let $field: $ty = match inherited {
                        Some(d) $($(if !table.has(stringify!($from)))?)? => d.$field.clone(),
                        _ => $default,
                    };
                    let $field = $crate::Takes::<$ty>::read(
                        &$crate::__rule!($($rule)?), table, $crate::__key!($field $($key)?), $field);
                )*
                #[allow(unused_mut)]
                let mut read = $name { $($field),* };
                $(
                    let key = $crate::__key!($field $($key)?);
                    // What is left over from a base counts as little as what is refused.
                    $( if !$crate::holds(&read, $holds) {
                        table.refuse(key, $with);
                        read.$field = <Self as Default>::default().$field;
                    } )?
                )*
                $( if table.is_good() { $check(&mut read, table); } )?
                read
            }

            fn write(&self, to: &mut $crate::Writer) {
                let $name { $($field),* } = self.clone();
                $(
                    if true $(&& $crate::holds(self, $holds))? {
                        $crate::Takes::<$ty>::write(
                            &$crate::__rule!($($rule)?), &$field, $crate::__key!($field $($key)?), to);
                    }
                )*
            }
        }

        impl $crate::Setting for $name {
            fn keys(name: &'static str, default: &Self) -> Vec<$crate::Key> {
                $crate::nested_keys(name, default)
            }

            fn read(table: &$crate::Reader<'_>, key: &'static str, default: Self) -> Self {
                $crate::nested_read(table, key, default)
            }

            fn write(&self, key: &str, to: &mut $crate::Writer) {
                to.section(key, |to| $crate::Settings::write(self, to));
            }
        }
    };
}

/// Alternatives by name: an enum with one line per alternative.
///
/// `pub enum Rule by "kind" { "sgd" => Sgd(Sgd), .. }`, each payload a [`settings!`](crate::settings) struct: the key
/// `kind` names the alternative, whose keys stand beside it in the same table. With `pub enum Rule: dyn Optimize by ..`
/// every payload implements the trait `Optimize: Debug + Send + Sync`, [`Deref`](std::ops::Deref) leads to it, and there
/// is a variant `Own` for one that a program brings along: written as `kind = "own:NAME"`, and read back by whoever
/// gives it as the default. `"ns" was "bce" => ..`: a name that it had once, still read.
///
/// Without `by` it is a word: `pub enum Update { /// Documentation. "simultaneous" => Simultaneous, .. }`.
#[macro_export]
macro_rules! list {
    (
        $(#[doc = $doc:literal])*
        $(#[derive($($derive:ident),*)])*
        $v:vis enum $name:ident by $by:literal {
            $( $word:literal $(was $old:literal)* => $variant:ident($payload:ty) ),* $(,)?
        }
    ) => {
        $crate::__list! {
            { $(#[doc = $doc])* $(#[derive($($derive),*)])* }
            $v $name, $by, concat!($($doc, "\n"),*), { $( $word $(was $old)* => $variant($payload), )* }, {}, {}
        }
    };
    (
        $(#[doc = $doc:literal])*
        $v:vis enum $name:ident : dyn $trait:ident by $by:literal {
            $( $word:literal $(was $old:literal)* => $variant:ident($payload:ty) ),* $(,)?
        }
    ) => {
        $crate::__list! {
            { $(#[doc = $doc])* }
            $v $name, $by, concat!($($doc, "\n"),*), { $( $word $(was $old)* => $variant($payload), )* },
            {
                /// One that the program brings along.
                Own($crate::Brought<dyn $trait>),
            },
            { $trait }
        }

        impl $name {
            /// It, to be changed; none if it is from outside and shared.
            pub fn get_mut(&mut self) -> Option<&mut (dyn $trait + 'static)> {
                match self {
                    $( Self::$variant(payload) => Some(payload), )*
                    Self::Own(own) => std::sync::Arc::get_mut(&mut own.value),
                }
            }
        }

        impl std::ops::Deref for $name {
            type Target = dyn $trait;

            fn deref(&self) -> &Self::Target {
                match self {
                    $( Self::$variant(payload) => payload, )*
                    Self::Own(own) => &*own.value,
                }
            }
        }
    };
    (
        $(#[doc = $doc:literal])*
        $(#[derive($($derive:ident),*)])*
        $v:vis enum $name:ident {
            $( $(#[doc = $vdoc:literal])* $word:literal => $variant:ident ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $(#[derive($($derive),*)])*
        $v enum $name { $( $(#[doc = $vdoc])* $variant, )* }

        impl $name {
            /// All, by name.
            pub const ALL: &'static [(&'static str, $name)] = &[$(($word, $name::$variant)),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }
        }

        impl $crate::Setting for $name {
            fn keys(name: &'static str, default: &Self) -> Vec<$crate::Key> {
                let mut keys = $crate::Takes::keys(&$crate::Words(Self::ALL), name, default);
                keys[0].doc = $crate::one_paragraph(concat!($($doc, "\n"),*));
                $(
                    let doc = $crate::one_paragraph(concat!($($vdoc, "\n"),*));
                    keys[0].doc += &format!("\n- `{:?}`: {doc}", $word);
                )*
                keys
            }

            fn read(table: &$crate::Reader<'_>, key: &'static str, default: Self) -> Self {
                $crate::Takes::read(&$crate::Words(Self::ALL), table, key, default)
            }

            fn write(&self, key: &str, to: &mut $crate::Writer) {
                $crate::Takes::write(&$crate::Words(Self::ALL), self, key, to);
            }
        }
    };
}

/// The enum of a [`list!`](crate::list) with payloads.
#[doc(hidden)]
#[macro_export]
macro_rules! __list {
    (
        { $(#[$attr:meta])* }
        $v:vis $name:ident, $by:literal, $doc:expr,
        { $( $word:literal $(was $old:literal)* => $variant:ident($payload:ty), )* },
        { $($own:tt)* }, { $($trait:ident)? }
    ) => {
        $(#[$attr])*
        #[derive(Clone, Debug, PartialEq)]
        $v enum $name {
            $( #[doc = concat!("`", $by, " = \"", $word, "\"`")] $variant($payload), )*
            $($own)*
        }

        /// The first of them.
        impl Default for $name {
            fn default() -> Self {
                #[allow(unreachable_code)]
                {
                    $( return Self::$variant(Default::default()); )*
                }
            }
        }

        impl $name {
            /// The names of all.
            pub const NAMES: &'static [&'static str] = &[$($word),*];

            /// Its name.
            pub fn name(&self) -> &str {
                match self {
                    $( Self::$variant(_) => $word, )*
                    $( Self::Own(own) => { let _: &$crate::Brought<dyn $trait> = own; &own.name } )?
                }
            }
        }

        #[allow(unreachable_patterns)]
        impl $crate::Setting for $name {
            fn keys(_name: &'static str, default: &Self) -> Vec<$crate::Key> {
                let mut keys = $crate::choice_keys($by, Self::NAMES, default.name(), $doc);
                keys[0].words = vec![$( $( ($old, $word), )* )*];
                $( $crate::add_choice::<$payload>(&mut keys, $by, $word); )*
                keys
            }

            fn read(table: &$crate::Reader<'_>, key: &'static str, default: Self) -> Self {
                $(
                    if let Self::Own(own) = &default
                        && $crate::Brought::<dyn $trait>::is_named_in(own, table, $by)
                    {
                        return default;
                    }
                )?
                let name = $crate::chosen(table, $by, Self::NAMES, default.name());
                $(
                    if name == Some($word) {
                        let inherited = match &default { Self::$variant(d) => Some(d), _ => None };
                        return Self::$variant($crate::Settings::read(table, inherited));
                    }
                )*
                table.let_pass(&<Self as $crate::Setting>::keys(key, &default));
                default
            }

            fn write(&self, _key: &str, to: &mut $crate::Writer) {
                match self {
                    $(
                        Self::$variant(payload) => {
                            to.value($by, concat!("\"", $word, "\""));
                            $crate::Settings::write(payload, to);
                        }
                    )*
                    $( Self::Own(own) => $crate::Brought::<dyn $trait>::write(own, $by, to), )?
                }
            }
        }
    };
}

/// The rule of a field.
#[doc(hidden)]
#[macro_export]
macro_rules! __rule {
    () => {
        $crate::Own
    };
    ($rule:expr) => {
        $rule
    };
}

/// The key of a field.
#[doc(hidden)]
#[macro_export]
macro_rules! __key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}
