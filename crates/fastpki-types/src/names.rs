//! Enumerations whose values have names, on the wire and in the database.

/// An enumeration whose values are written as lower-case names on the wire, and as the same names
/// in upper case in the database.
pub trait Named: Copy + PartialEq + 'static {
    /// Every value, in the order in which it is documented.
    const ALL: &'static [Self];

    /// The value's name on the wire.
    fn name(self) -> &'static str;

    /// The value with this name on the wire.
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.name() == name)
    }
}

/// A name that stands for no value of the enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName(pub String);

impl std::fmt::Display for UnknownName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unknown name '{}'", self.0)
    }
}

impl std::error::Error for UnknownName {}

/// Defines an enumeration together with its names.
macro_rules! named {
    ($(#[doc = $doc:literal])* $enum:ident { $($(#[$value_doc:meta])* $value:ident = $name:literal,)* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $enum { $($(#[$value_doc])* $value,)* }

        impl crate::names::Named for $enum {
            const ALL: &'static [Self] = &[$(Self::$value,)*];

            fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)* }
            }
        }

        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(crate::names::Named::name(*self))
            }
        }

        impl std::str::FromStr for $enum {
            type Err = crate::names::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                crate::names::Named::from_name(text).ok_or_else(|| crate::names::UnknownName(text.to_owned()))
            }
        }

        impl serde::Serialize for $enum {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(crate::names::Named::name(*self))
            }
        }

        impl schemars::JsonSchema for $enum {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($enum).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "enum": [$($name),*],
                    "description": concat!($($doc),*).trim(),
                })
            }
        }

        impl<'de> serde::Deserialize<'de> for $enum {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use named;
