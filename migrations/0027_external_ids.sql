-- External ids of meetings, the places of their stops, and the visit type.

-- The external ids of settled meetings. A live meeting holds its ids exclusively, so that registers and outlets name one
-- meeting by them. The rows of a meeting are written with each of its revisions.
create table meeting_external_id (
    scheme  text    not null,
    value   text    not null,
    meeting uuid    not null,
    live    boolean not null,
    constraint meeting_external_id_pkey primary key (scheme, value, meeting)
);
comment on column meeting_external_id.live is 'false while the meeting is deleted: it then holds the id no longer, and lists with show_deleted still find it';
-- The claim of an id by a write.
create unique index meeting_external_id_live_key on meeting_external_id (scheme, value) where live;
create index meeting_external_id_meeting_idx on meeting_external_id (meeting);

-- The places of a meeting: its place and its stops, numbered from 0. The filters place.region and place.locality.
create table meeting_place (
    meeting     uuid    not null,
    number      integer not null,
    region_code text,
    locality    text,
    constraint meeting_place_pkey primary key (meeting, number)
);
comment on column meeting_place.locality is 'normalised key';
create index meeting_place_of_region_idx on meeting_place (region_code, meeting) where region_code is not null;
create index meeting_place_of_locality_idx on meeting_place (locality, meeting) where locality is not null;
-- No meeting has stops yet.
insert into meeting_place (meeting, number, region_code, locality)
select id, 0, place_region, place_locality
from meeting
where place_region is not null
   or place_locality is not null;

alter table meeting
    add column visit_type smallint;
comment on column meeting.visit_type is 'number in readout.v1.Account.VisitType; null if it is not stated';
-- The filter visit_type. Most meetings have none.
create index meeting_visit_type_idx on meeting (visit_type, id) where visit_type is not null;
-- The filter fragile for visit_type, see migrations/0023_support.sql.
create index meeting_fragile_visit_type_idx on meeting (id) where fragile & 256 <> 0;

-- Filters on the place read meeting_place.
drop index meeting_place_region_idx;
drop index meeting_place_locality_idx;

-- The external ids of articles, for the filter external_id. Several articles can have one id.
create table article_external_id (
    scheme  text not null,
    value   text not null,
    article uuid not null,
    constraint article_external_id_pkey primary key (scheme, value, article)
);
create index article_external_id_article_idx on article_external_id (article);
-- The next start fills it.
insert into reindex (collection) values (2)
on conflict on constraint reindex_pkey do nothing;
