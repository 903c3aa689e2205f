//! What programs may pass around: one trait a role, so that rustc says which role a type does not
//! fit, and what to do. All are for data that can be saved and read back.
//!
//! The traits that bound an associated type have methods instead of supertraits: of a supertrait
//! rustc would report every missing part on its own, and nothing of ours.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{DecodeError, EncodeError};
use crate::json::Json;

/// What an activity, an orchestrator or an entity operation may take as an argument.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument",
    label = "arguments are saved, and sent to the worker that runs the function",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; it must own its data and be \
            `Send`"
)]
pub trait Argument: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Argument for T {}

/// The arguments of a function, as a tuple.
pub trait Arguments: Sized + 'static {
    /// Encodes all of them.
    #[doc(hidden)]
    fn encode(&self) -> Result<Json, EncodeError>;
    /// Reads them back.
    #[doc(hidden)]
    fn decode(json: &Json) -> Result<Self, DecodeError>;
}

macro_rules! arguments {
    ($($T:ident)*) => {
        impl<$($T: Argument),*> Arguments for ($($T,)*) {
            fn encode(&self) -> Result<Json, EncodeError> {
                Json::encode(self)
            }
            fn decode(json: &Json) -> Result<Self, DecodeError> {
                json.decode()
            }
        }
    };
}

/// A single argument may be saved as no arguments: who starts a function by its name and gives it
/// nothing means `null`.
impl<A0: Argument> Arguments for (A0,) {
    fn encode(&self) -> Result<Json, EncodeError> {
        Json::encode(self)
    }
    fn decode(json: &Json) -> Result<Self, DecodeError> {
        match json.as_str() {
            "null" => Json::from_text("[null]").decode(),
            _ => json.decode(),
        }
    }
}

arguments!();
arguments!(A0 A1);
arguments!(A0 A1 A2);
arguments!(A0 A1 A2 A3);
arguments!(A0 A1 A2 A3 A4);
arguments!(A0 A1 A2 A3 A4 A5);
arguments!(A0 A1 A2 A3 A4 A5 A6);
arguments!(A0 A1 A2 A3 A4 A5 A6 A7);
arguments!(A0 A1 A2 A3 A4 A5 A6 A7 A8);
arguments!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9);
arguments!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10);
arguments!(A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11);

/// What an activity, an orchestrator or an entity operation may return, or have as the value of
/// the `Result` that it returns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a result",
    label = "results are saved, and sent to who waits for them",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; it must own its data and be \
            `Send`"
)]
pub trait ReturnValue: Sized + 'static {
    /// Encodes it.
    #[doc(hidden)]
    fn encode(&self) -> Result<Json, EncodeError>;
    /// Reads it back.
    #[doc(hidden)]
    fn decode(json: &Json) -> Result<Self, DecodeError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> ReturnValue for T {
    fn encode(&self) -> Result<Json, EncodeError> {
        Json::encode(self)
    }
    fn decode(json: &Json) -> Result<Self, DecodeError> {
        json.decode()
    }
}

/// What may come with an event.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot come with an event",
    label = "the payload of an event is saved data",
    note = "derive `serde::Deserialize` for it; it must own its data"
)]
pub trait EventPayload: DeserializeOwned + 'static {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + 'static> EventPayload for T {}

/// What may be the state of an entity.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the state of an entity",
    label = "the state is saved after each operation",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; it must own its data"
)]
pub trait EntityData: Sized + 'static {
    /// Encodes it.
    #[doc(hidden)]
    fn encode(&self) -> Result<Json, EncodeError>;
    /// Reads it back.
    #[doc(hidden)]
    fn decode(json: &Json) -> Result<Self, DecodeError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + 'static> EntityData for T {
    fn encode(&self) -> Result<Json, EncodeError> {
        Json::encode(self)
    }
    fn decode(json: &Json) -> Result<Self, DecodeError> {
        json.decode()
    }
}

/// A state from which an entity can begin without being told.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "an entity needs a state to begin from, and `{Self}` has no default",
    label = "the first operation on an entity finds this state",
    note = "derive `Default` for it, or say the state: `#[entity(initial = ..)]`"
)]
pub trait InitialState {
    fn initial_state() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> InitialState for T {
    fn initial_state() -> Self {
        Self::default()
    }
}

/// The state from which an entity begins that does not say another.
#[doc(hidden)]
pub fn initial_state<T: InitialState>() -> T {
    T::initial_state()
}

/// An operation of an entity: what it takes and gives.
#[doc(hidden)]
pub trait Operation {
    const NAME: &'static str;
    type Input: Arguments;
    type Output: ReturnValue;
}
