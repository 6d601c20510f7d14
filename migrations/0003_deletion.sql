-- Deletion is soft: a record keeps its row, and no record that is live names one that is not.

alter table participant
    add column delete_time timestamptz,
    add column parent uuid;
comment on column participant.delete_time is 'null while it is live; a deleted one has no rows in participant_name and participant_external_id';
comment on column participant.parent is 'the participant that it is part of';

alter table article
    add column delete_time timestamptz,
    add column syndicated_from uuid;
comment on column article.delete_time is 'null while it is live; a deleted one has no rows in article_uri';
comment on column article.syndicated_from is 'the article that it is a copy of';

alter table meeting
    add column delete_time timestamptz;
comment on column meeting.delete_time is 'null while it is live; a deleted one keeps its rows in the index tables, and with them what it names';

-- Whether what a write names was deleted: asked at the end of nearly every transaction, and hardly ever true.
create index participant_deleted_idx on participant (id) where delete_time is not null;
create index article_deleted_idx on article (id) where delete_time is not null;

-- Who names one that is to be deleted.
create index participant_parent_idx on participant (parent, id) where parent is not null;
create index article_syndicated_from_idx on article (syndicated_from, id) where syndicated_from is not null;

-- The docs that are there have them in these fields: 15 and 25, as the tag, the length of the name, and the name.
update participant
set parent = found.id::uuid
from (
    select id as participant,
           encode(substring(doc from position('\x7a31'::bytea || 'participants/'::bytea in doc) + 15 for 36), 'escape') as id
    from participant
    where position('\x7a31'::bytea || 'participants/'::bytea in doc) > 0
) as found
where participant.id = found.participant
  and found.id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';

update article
set syndicated_from = found.id::uuid
from (
    select id as article,
           encode(substring(doc from position('\xca012d'::bytea || 'articles/'::bytea in doc) + 12 for 36), 'escape') as id
    from article
    where position('\xca012d'::bytea || 'articles/'::bytea in doc) > 0
) as found
where article.id = found.article
  and found.id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
