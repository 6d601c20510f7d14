-- The tables of the peers: a record as one value, with the columns that its queries need. DOC is jsonb or bytea.
create table article (id uuid primary key, uri text unique, doc DOC);
create table participant (id uuid primary key, kind text, region text, display_name text, doc DOC);
create index on participant (region, id);
create index on participant (display_name);
create table meeting (id uuid primary key, kind text, status text, title text, article uuid, doc DOC);
create index on meeting (kind, id);
create index on meeting (status, id);
create index on meeting (article);
create table participation (
    meeting uuid, n int, participant uuid, region text, presence text, primary key (meeting, n)
);
create index on participation (participant, meeting);
create index on participation (region, meeting);
create table statement (meeting uuid, n int, text text, primary key (meeting, n));
create table event (
    position bigserial primary key, kind text, name text, time timestamptz default now()
);
