-- Events that a consumer has passed and Slack has still to be told: what a channel's rate limit or an
-- outage holds back. `position` is the order in which they were passed.
CREATE TABLE untold_events (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id BIGINT NOT NULL REFERENCES events(id) ON DELETE CASCADE,
    CONSTRAINT uq_untold_events_event UNIQUE (event_id)
);
