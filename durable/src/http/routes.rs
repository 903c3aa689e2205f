//! The whole API: one handler a row.

use super::route::{Kind, Route, Verb};
use super::{entities, manage, openapi, query, start};

const VERSION: (&str, Kind) = ("version", Kind::Text);
const WAIT: [(&str, Kind); 2] = [("timeout", Kind::Seconds), ("pollingInterval", Kind::Seconds)];
const REASON: &[(&str, Kind)] = &[("reason", Kind::Text)];
const START: &[(&str, Kind)] = &[VERSION, WAIT[0], WAIT[1]];
const STARTED: &[(u16, &str)] = &[
    (200, "It completed within the time to wait: its output"),
    (202, "It was started: where to ask about it"),
    (400, "The JSON, the name of the function, the id or an option cannot be used"),
    (409, "An instance with this id has not ended"),
];
const CHANGED: &[(u16, &str)] = &[
    (202, "The message is stored"),
    (404, "There is no such instance"),
    (410, "The instance has ended"),
];
const FILTER: [(&str, Kind); 3] =
    [("createdTimeFrom", Kind::Time), ("createdTimeTo", Kind::Time), ("runtimeStatus", Kind::Text)];
const ENTITIES: &[(&str, Kind)] = &[
    ("lastOperationTimeFrom", Kind::Time),
    ("lastOperationTimeTo", Kind::Time),
    ("fetchState", Kind::Flag),
    ("top", Kind::Integer),
];
const ENTITY_LIST: &[(u16, &str)] =
    &[(200, "A page of entities"), (400, "The name or the continuation token cannot be used")];

/// A row with what most rows have.
const fn row(method: Verb, path: &'static str, name: &'static str) -> Route {
    Route {
        method,
        path,
        name,
        summary: "",
        query: &[],
        body: None,
        answers: &[],
        guarded: true,
        handler: |_| Box::pin(async { Err(super::Fault::Empty(super::StatusCode::NOT_FOUND)) }),
    }
}

/// The table. A path with a parameter stands below the one without.
pub(super) static ROUTES: &[Route] = &[
    Route {
        summary: "Starts an orchestration",
        query: START,
        body: Some("The input, as JSON"),
        answers: STARTED,
        handler: |call| Box::pin(start::start(call)),
        ..row(
            Verb::Post,
            "/runtime/webhooks/durabletask/orchestrators/{functionName}",
            "StartOrchestration",
        )
    },
    Route {
        summary: "Starts an orchestration under an id",
        query: START,
        body: Some("The input, as JSON"),
        answers: STARTED,
        handler: |call| Box::pin(start::start(call)),
        ..row(
            Verb::Post,
            "/runtime/webhooks/durabletask/orchestrators/{functionName}/{instanceId}",
            "StartOrchestrationWithId",
        )
    },
    Route {
        summary: "Starts an orchestration, as the original's HTTP triggers do",
        query: START,
        body: Some("The input, as JSON"),
        answers: STARTED,
        handler: |call| Box::pin(start::start(call)),
        ..row(Verb::Post, "/api/orchestrators/{functionName}", "HttpStart")
    },
    Route {
        summary: "Starts an orchestration under an id, as the original's HTTP triggers do",
        query: START,
        body: Some("The input, as JSON"),
        answers: STARTED,
        handler: |call| Box::pin(start::start(call)),
        ..row(Verb::Post, "/api/orchestrators/{functionName}/{instanceId}", "HttpStartWithId")
    },
    Route {
        summary: "Lists orchestrations, page by page",
        query: &[
            FILTER[0],
            FILTER[1],
            FILTER[2],
            ("instanceIdPrefix", Kind::Text),
            ("showInput", Kind::Flag),
            ("top", Kind::Integer),
        ],
        answers: &[(200, "A page of statuses"), (400, "The continuation token cannot be used")],
        handler: |call| Box::pin(query::list(call)),
        ..row(Verb::Get, "/runtime/webhooks/durabletask/instances", "GetInstances")
    },
    Route {
        summary: "Purges the orchestrations that match and have ended",
        query: &FILTER,
        answers: &[
            (200, "How many were purged"),
            (400, "`createdTimeFrom` is missing"),
            (404, "None matched"),
        ],
        handler: |call| Box::pin(manage::purge_many(call)),
        ..row(Verb::Delete, "/runtime/webhooks/durabletask/instances", "PurgeInstances")
    },
    Route {
        summary: "The status of an instance",
        query: &[
            ("showHistory", Kind::Flag),
            ("showHistoryOutput", Kind::Flag),
            ("showInput", Kind::Flag),
            ("returnInternalServerErrorOnFailure", Kind::Flag),
        ],
        answers: &[
            (200, "It has ended"),
            (202, "It has not ended"),
            (404, "There is no such instance"),
            (500, "It has failed, and that was to be shown so"),
        ],
        handler: |call| Box::pin(query::status(call)),
        ..row(Verb::Get, "/runtime/webhooks/durabletask/instances/{instanceId}", "GetInstance")
    },
    Route {
        summary: "Purges an instance",
        answers: &[
            (200, "How many were purged"),
            (404, "There is no such instance"),
            (412, "It has not ended"),
        ],
        handler: |call| Box::pin(manage::purge_one(call)),
        ..row(Verb::Delete, "/runtime/webhooks/durabletask/instances/{instanceId}", "PurgeInstance")
    },
    Route {
        summary: "Raises an event",
        body: Some("The payload of the event, as JSON"),
        answers: &[
            (202, "The event is stored"),
            (400, "The body is not JSON or does not say so, or the name cannot be used"),
            (404, "There is no such instance"),
            (410, "The instance has ended"),
        ],
        handler: |call| Box::pin(manage::raise_event(call)),
        ..row(
            Verb::Post,
            "/runtime/webhooks/durabletask/instances/{instanceId}/raiseEvent/{eventName}",
            "RaiseEvent",
        )
    },
    Route {
        summary: "Terminates an instance",
        query: REASON,
        answers: CHANGED,
        handler: |call| Box::pin(manage::terminate(call)),
        ..row(
            Verb::Post,
            "/runtime/webhooks/durabletask/instances/{instanceId}/terminate",
            "TerminateInstance",
        )
    },
    Route {
        summary: "Suspends an instance",
        query: REASON,
        answers: CHANGED,
        handler: |call| Box::pin(manage::suspend(call)),
        ..row(
            Verb::Post,
            "/runtime/webhooks/durabletask/instances/{instanceId}/suspend",
            "SuspendInstance",
        )
    },
    Route {
        summary: "Resumes a suspended instance",
        query: REASON,
        answers: CHANGED,
        handler: |call| Box::pin(manage::resume(call)),
        ..row(
            Verb::Post,
            "/runtime/webhooks/durabletask/instances/{instanceId}/resume",
            "ResumeInstance",
        )
    },
    Route {
        summary: "Rewinds an instance that has failed",
        query: REASON,
        answers: &[
            (202, "The message is stored"),
            (404, "There is no such instance"),
            (412, "It has not failed"),
        ],
        handler: |call| Box::pin(manage::rewind(call)),
        ..row(
            Verb::Post,
            "/runtime/webhooks/durabletask/instances/{instanceId}/rewind",
            "RewindInstance",
        )
    },
    Route {
        summary: "Starts an orchestration once more, with the same input",
        query: &[("restartWithNewInstanceId", Kind::Flag), WAIT[0], WAIT[1]],
        answers: &[
            (200, "It completed within the time to wait: its output"),
            (202, "It was started: where to ask about it"),
            (400, "There is no such instance"),
            (409, "The instance has not ended, and the id was to be the same"),
        ],
        handler: |call| Box::pin(start::restart(call)),
        ..row(
            Verb::Post,
            "/runtime/webhooks/durabletask/instances/{instanceId}/restart",
            "RestartInstance",
        )
    },
    Route {
        summary: "Lists entities, page by page",
        query: ENTITIES,
        answers: ENTITY_LIST,
        handler: |call| Box::pin(entities::list(call)),
        ..row(Verb::Get, "/runtime/webhooks/durabletask/entities", "GetEntities")
    },
    Route {
        summary: "Lists the entities of a name, page by page",
        query: ENTITIES,
        answers: ENTITY_LIST,
        handler: |call| Box::pin(entities::list(call)),
        ..row(Verb::Get, "/runtime/webhooks/durabletask/entities/{entityName}", "GetEntitiesOfName")
    },
    Route {
        summary: "The state of an entity",
        answers: &[
            (200, "The state"),
            (400, "The name or the key cannot be used"),
            (404, "It does not exist"),
        ],
        handler: |call| Box::pin(entities::read(call)),
        ..row(
            Verb::Get,
            "/runtime/webhooks/durabletask/entities/{entityName}/{entityKey}",
            "GetEntity",
        )
    },
    Route {
        summary: "Signals an operation of an entity",
        query: &[("op", Kind::Text)],
        body: Some("The argument of the operation: JSON if the content type says so, else text"),
        answers: &[
            (202, "The signal is stored"),
            (400, "The name, the key or the JSON cannot be used"),
        ],
        handler: |call| Box::pin(entities::signal(call)),
        ..row(
            Verb::Post,
            "/runtime/webhooks/durabletask/entities/{entityName}/{entityKey}",
            "SignalEntity",
        )
    },
    Route {
        summary: "Deletes an entity, as a signal of its operation `delete`",
        answers: &[(202, "The signal is stored"), (400, "The name or the key cannot be used")],
        handler: |call| Box::pin(entities::delete(call)),
        ..row(
            Verb::Delete,
            "/runtime/webhooks/durabletask/entities/{entityName}/{entityKey}",
            "DeleteEntity",
        )
    },
    Route {
        method: Verb::Any,
        summary: "Does nothing: every process of a hub is as good as the others",
        answers: &[(200, "Always")],
        handler: |call| Box::pin(manage::make_primary(call)),
        ..row(Verb::Post, "/runtime/webhooks/durabletask/makeprimary", "MakePrimary")
    },
    Route {
        summary: "Whether the store can be reached",
        answers: &[(200, "It can"), (503, "It cannot")],
        guarded: false,
        handler: |call| Box::pin(query::health(call)),
        ..row(Verb::Get, "/healthz", "GetHealth")
    },
    Route {
        summary: "This description",
        answers: &[(200, "An OpenAPI document")],
        handler: |call| Box::pin(openapi::document(call)),
        ..row(Verb::Get, "/openapi.json", "GetDescription")
    },
];
