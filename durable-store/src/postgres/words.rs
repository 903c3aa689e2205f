//! What processes say to each other, and how it is written.

use crate::model::{Hint, PartitionId};

/// Stands between the sender of a notification and what it says.
const SENDER_END: char = ':';
/// Stands between words.
const SEPARATOR: char = ',';
/// Stands before a partition of which there is news.
const NEWS: char = 'n';
const OFFERS: &str = "o";
const LISTENING: &str = "l";

/// One thing that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    /// Something that workers may wait for.
    Hint(Hint),
    /// Something that clients may wait for has happened in the partition.
    News(PartitionId),
    /// Whoever says it wants to hear of news for a while.
    Listening,
}

impl Word {
    fn write(self, text: &mut String) {
        match self {
            Self::Hint(Hint::Messages(partition)) => text.push_str(&partition.0.to_string()),
            Self::Hint(Hint::Offers) => text.push_str(OFFERS),
            Self::News(partition) => {
                text.push(NEWS);
                text.push_str(&partition.0.to_string());
            }
            Self::Listening => text.push_str(LISTENING),
        }
    }

    /// `None` for what another version of this program may say.
    fn read(text: &str) -> Option<Self> {
        let partition = |number: &str| number.parse().ok().map(PartitionId);
        match text {
            OFFERS => Some(Self::Hint(Hint::Offers)),
            LISTENING => Some(Self::Listening),
            _ => match text.strip_prefix(NEWS) {
                Some(number) => partition(number).map(Self::News),
                None => partition(text).map(Hint::Messages).map(Self::Hint),
            },
        }
    }
}

/// The payload of a notification.
pub(super) fn payload(sender: &str, words: &[Word]) -> String {
    let mut payload = format!("{sender}{SENDER_END}");
    for (place, word) in words.iter().enumerate() {
        if place > 0 {
            payload.push(SEPARATOR);
        }
        word.write(&mut payload);
    }
    payload
}

/// What a notification says, if it is somebody else's.
pub(super) fn said<'a>(payload: &'a str, own: &str) -> impl Iterator<Item = Word> + 'a {
    let (sender, words) = payload.split_once(SENDER_END).unwrap_or_default();
    let words = if sender == own { "" } else { words };
    words.split(SEPARATOR).filter_map(Word::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_speaks_to_all_but_its_sender() {
        let messages = |partition| Word::Hint(Hint::Messages(PartitionId(partition)));
        let words = [
            messages(0),
            messages(17),
            Word::Hint(Hint::Offers),
            Word::News(PartitionId(17)),
            Word::Listening,
        ];
        let payload = payload("a1", &words);
        assert_eq!(payload, "a1:0,17,o,n17,l");
        assert_eq!(said(&payload, "b2").collect::<Vec<_>>(), words);
        assert_eq!(said(&payload, "a1").count(), 0);
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        assert_eq!(said("nonsense", "a1").count(), 0);
        let understood: Vec<Word> = said("b2:x9,,n,n-1,99999,n3", "a1").collect();
        assert_eq!(understood, [Word::News(PartitionId(3))]);
    }
}
