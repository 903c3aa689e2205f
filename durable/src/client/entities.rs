//! Entities as those who operate a hub see them: lists, what is known of one, and cleaning.

use std::fmt;

use durable_store::{
    Condition, Envelope, InstanceKind, InstanceNo, InstanceQuery, InstanceRecord, Message, Status,
    Timestamp,
};

use super::pages::Pages;
use super::{Client, ClientError};
use crate::connection::Connection;
use crate::json::Json;
use crate::message::{Body, LockId, entity_id};
use crate::turn::{EntityAddress, SavedEntity};

/// Which entities are wanted. Every field that is set narrows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityQuery {
    /// Of this registered name.
    pub name: Option<String>,
    /// With keys that begin with this. Needs a name.
    pub key_prefix: Option<String>,
    /// Changed last at or after this.
    pub updated_from: Option<Timestamp>,
    /// Changed last before this.
    pub updated_to: Option<Timestamp>,
    /// Those too that do not exist, but of which something is stored: deleted ones that were not
    /// cleaned, and such that are only locked.
    pub include_empty: bool,
}

/// What is stored about an entity.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EntityStatus {
    /// Its name and key.
    pub id: EntityAddress,
    /// The state as of the last commit; `None` if it does not exist.
    pub state: Option<Json>,
    /// The id of the orchestration that has locked it, if one has.
    pub locked_by: Option<String>,
    /// How many messages wait for it, because it is locked or an operation is under way.
    pub queued: usize,
    /// Why no worker can continue it at the moment, if so.
    pub blocked: Option<String>,
    /// When it came into being.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What cleaning has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cleaned {
    /// Entities that did not exist and are not stored any more.
    pub removed: u64,
    /// Locks whose owner has ended or is gone.
    pub released: u64,
}

/// Entities that match, page by page.
#[must_use = "nothing is read until pages are asked for"]
pub struct EntityList {
    query: EntityQuery,
    pages: Pages,
}

impl fmt::Debug for EntityList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityList({:?})", self.query)
    }
}

impl EntityQuery {
    fn instances(&self) -> Result<InstanceQuery, ClientError> {
        let id_prefix = match (&self.name, &self.key_prefix) {
            (Some(name), prefix) => Some(entity_id(name, prefix.as_deref().unwrap_or_default())),
            (None, None) => None,
            (None, Some(_)) => {
                let reason = "a prefix of keys needs the name of the entity".to_owned();
                return Err(ClientError::InvalidQuery { reason });
            }
        };
        Ok(InstanceQuery {
            kind: Some(InstanceKind::Entity),
            id_prefix,
            statuses: if self.include_empty { Vec::new() } else { vec![Status::Running] },
            updated_from: self.updated_from,
            updated_to: self.updated_to,
            ..InstanceQuery::default()
        })
    }
}

impl EntityList {
    /// How many rows a page has at most. Default: 100.
    pub fn page_rows(mut self, rows: usize) -> Self {
        self.pages.set_rows(rows);
        self
    }

    /// Goes on where another list of the same query was; see [`EntityList::token`].
    ///
    /// # Errors
    ///
    /// [`ClientError::InvalidToken`] if it is not a token that a list gave.
    pub fn continue_from(mut self, token: &str) -> Result<Self, ClientError> {
        self.pages.continue_from(token)?;
        Ok(self)
    }

    /// Where the list is, for another list to go on from, as for instances. `None` before the first
    /// page and after the last one.
    pub fn token(&self) -> Option<String> {
        self.pages.token()
    }

    /// The next page; `None` is the end. A page may be empty while more follow.
    ///
    /// # Errors
    ///
    /// [`ClientError::InvalidQuery`] if the query cannot be, [`ClientError::Unreadable`] if what is
    /// stored of an entity is not readable.
    pub async fn next_page(&mut self) -> Result<Option<Vec<EntityStatus>>, ClientError> {
        if self.pages.has_ended() {
            return Ok(None);
        }
        let query = self.query.instances()?;
        let records = self.pages.next(&query).await?;
        let found = records.into_iter().map(status).collect::<Result<Vec<_>, _>>()?;
        let include_empty = self.query.include_empty;
        let wanted = |entity: &EntityStatus| include_empty || entity.state.is_some();
        Ok(Some(found.into_iter().filter(wanted).collect()))
    }

    /// All of them.
    ///
    /// # Errors
    ///
    /// As for [`next_page`](Self::next_page).
    pub async fn all(mut self) -> Result<Vec<EntityStatus>, ClientError> {
        let mut all = Vec::new();
        while let Some(page) = self.next_page().await? {
            all.extend(page);
        }
        Ok(all)
    }
}

impl Client {
    /// The entities that match, page by page.
    ///
    /// ```no_run
    /// # use durable::{Client, ClientError, EntityQuery};
    /// # async fn example(client: Client) -> Result<(), ClientError> {
    /// let counters = EntityQuery { name: Some("Counter".to_owned()), ..EntityQuery::default() };
    /// for counter in client.entities(counters).all().await? {
    ///     println!("{}: {:?}", counter.id.key, counter.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn entities(&self, query: EntityQuery) -> EntityList {
        EntityList { query, pages: Pages::new(self.clone()) }
    }

    /// What is stored about an entity; `None` if nothing is.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreadable`] if what is stored is not readable.
    pub async fn entity_status(
        &self,
        entity: &EntityAddress,
    ) -> Result<Option<EntityStatus>, ClientError> {
        self.record(&entity.instance_id()).await?.map(status).transpose()
    }

    /// Removes what is stored of entities that do not exist, and releases locks whose owner has
    /// ended or is gone. Neither is needed for anything else to work: the first saves room, and the
    /// second repairs what was deleted by hand, for whoever ends releases its locks.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`ClientError::Unreadable`].
    pub async fn clean_entities(&self) -> Result<Cleaned, ClientError> {
        let query = InstanceQuery { kind: Some(InstanceKind::Entity), ..InstanceQuery::default() };
        let Connection { store, .. } = &*self.connection;
        let (mut cleaned, mut pages) = (Cleaned::default(), Pages::new(self.clone()));
        while !pages.has_ended() {
            let records = pages.next(&query).await?;
            let (gone, rest): (Vec<_>, Vec<_>) =
                records.into_iter().partition(|record| record.status.is_terminal());
            let numbers: Vec<InstanceNo> = gone.iter().map(|record| record.no).collect();
            if !numbers.is_empty() {
                let purge = || store.purge_instances(&numbers);
                cleaned.removed += self.read("purge_instances", purge).await?.len() as u64;
            }
            cleaned.released += self.release_orphans(rest).await?;
        }
        Ok(cleaned)
    }

    /// Releases those locks of these entities whose owner does not run any more.
    async fn release_orphans(&self, entities: Vec<InstanceRecord>) -> Result<u64, ClientError> {
        let mut locked = Vec::new();
        for record in entities {
            if let Some(lock) = saved(&record)?.and_then(|saved| saved.lock) {
                locked.push((record.id, lock));
            }
        }
        let owners: Vec<String> = locked.iter().map(|(_, lock)| lock.owner.clone()).collect();
        let Connection { store, .. } = &*self.connection;
        let owners = self.read("read_instances", || store.read_instances(&owners)).await?;
        let runs = |lock: &LockId| {
            owners.iter().any(|owner| owner.no.0 == lock.number && !owner.status.is_terminal())
        };
        let mut released = 0;
        for (id, lock) in locked.into_iter().filter(|(_, lock)| !runs(lock)) {
            let body = Body::Unlock { lock, onward: Vec::new() };
            let message = Message {
                id: self.connection.clock.new_id().simple().to_string(),
                partition: self.connection.partition_of(&id).await?,
                target: id,
                due_at: None,
                body: body.to_payload(),
            };
            self.connection.send(Envelope { message, condition: Condition::None }).await?;
            released += 1;
        }
        Ok(released)
    }
}

fn saved(record: &InstanceRecord) -> Result<Option<SavedEntity>, ClientError> {
    let parse = |text: &str| {
        serde_json::from_str(text).map_err(|error| ClientError::Unreadable {
            id: record.id.clone(),
            what: format!("its state: {error}"),
        })
    };
    record.state.as_deref().map(parse).transpose()
}

fn status(record: InstanceRecord) -> Result<EntityStatus, ClientError> {
    let saved = saved(&record)?;
    let key = record.id.splitn(3, '@').nth(2).unwrap_or_default().to_owned();
    let (state, lock, queued) = match saved {
        Some(saved) => (saved.state, saved.lock, saved.queued),
        None => (None, None, 0),
    };
    Ok(EntityStatus {
        id: EntityAddress { name: record.name, key },
        state,
        locked_by: lock.map(|lock| lock.owner),
        queued,
        blocked: record.blocked,
        created_at: record.created_at,
        updated_at: record.updated_at,
    })
}
