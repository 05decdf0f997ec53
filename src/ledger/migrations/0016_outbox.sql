-- Notifications that are not delivered yet. What they say is read from the records when they are sent, so this table holds
-- nothing of a person. Times are milliseconds since 1970.
CREATE TABLE outbox (
    tenant_id     TEXT   NOT NULL,
    decision_id   TEXT   NOT NULL,
    -- The place of the type among those that an expense can have: of one expense, the lower is sent first.
    ordinal       BIGINT NOT NULL,
    type          TEXT   NOT NULL,
    -- When the event happens. It may be in the future: an expense that begins to wait will be overdue.
    happens_at    BIGINT NOT NULL,
    -- When it is to be sent, or sent again. Whoever sends it moves this time to the end of its lease first.
    due_at        BIGINT NOT NULL,
    n_attempts    BIGINT NOT NULL,
    PRIMARY KEY (decision_id, ordinal)
);
-- For a receiver of one tenant, and for the receiver of all others.
CREATE INDEX outbox_by_tenant ON outbox (tenant_id, due_at);
CREATE INDEX outbox_by_due ON outbox (due_at, tenant_id);
