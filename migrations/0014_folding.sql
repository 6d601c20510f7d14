-- The version of folding (src/model/letters) of the words that records are searched by. A service of a newer version folds
-- them again as it starts, some records at a time, and continues where a killed one has stopped. A service of an older
-- version does not start: it would not find all words, and would write old ones.

create table folding (
    collection smallint constraint folding_pkey primary key,
    version    integer  not null,
    next       integer,
    done       uuid,
    constraint folding_next_check check (next > version)
);
comment on table folding is 'of each collection that is searched, the version of its folded words';
comment on column folding.version is 'all words have this version, or a later one';
comment on column folding.next is 'the version to which they are being brought; null when none is';
comment on column folding.done is 'in the order of ids, the last record that has the next version; null when none has';

-- Release 0.1.0 had version 0: articles and reports.
insert into folding (collection, version)
values (2, 0), (3, 0);

-- A service that is killed while it makes derived rows again leaves behind how far it was.
alter table reindex
    add column done uuid;
comment on column reindex.done is 'in the order of ids, the last record that is done; null when none is';
