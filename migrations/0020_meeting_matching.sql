-- Meetings that may be one event: they share a participant and a day, or are a day apart.

-- The meetings of a participant around a day. MatchMeetings, ListDuplicateMeetings and IngestStory search for them. A
-- meeting is found by its first day, so a search begins 31 days earlier (src/store/query/meeting_candidates.rs).
create index participation_day_idx on participation (participant, day) include (meeting)
    where participant is not null and day is not null;
