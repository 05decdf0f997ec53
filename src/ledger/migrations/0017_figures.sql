-- What overviews count and add up, an entry for each hour in which decisions of a tenant were received (hours since 1970). The
-- document holds nothing that is personal. A migration that changes what is counted has to empty both tables; they are then
-- filled again from the chain.
CREATE TABLE figures (
    tenant_id     TEXT   NOT NULL,
    hour          BIGINT NOT NULL,
    document      TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, hour)
);
-- Up to where each tenant's chain is counted.
CREATE TABLE figures_mark (
    tenant_id     TEXT   NOT NULL PRIMARY KEY,
    seq           BIGINT NOT NULL
);
