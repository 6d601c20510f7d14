-- Copies of one text, what is to be settled anew since an article changed, and which articles may show a text.

-- SHA-256 of the normalised text (src/model/copies.rs); null where that is shorter than 400 code points. Of a text that
-- may not be kept, too. It cannot be made in SQL: articles that are there get one when their text is sent again.
alter table article
    add column text_key bytea;
comment on column article.text_key is 'equal in articles that are copies of one text';

-- The copies that were published next before and after an article. A date is full if it covers one day.
create index article_text_key_idx on article (text_key, publish_from, id)
    where text_key is not null and delete_time is null and publish_from = publish_to;
-- All of a group of copies.
create index article_origin_idx on article (origin, id);

-- The state of all groups of copies: it grows with every write that changes one. Whoever puts an article into another
-- group relies on it. One row, written only under the feed's lock.
create table grouping (
    one     boolean constraint grouping_pkey primary key default true constraint grouping_one_check check (one),
    version bigint not null
);
insert into grouping (version) values (0);

-- Articles whose group of copies, and meetings whose account, an article's change has made uncertain. Written in the
-- same transaction as the change; whoever settles one says so with what that writes. The row stays: whoever has
-- settled the meeting on what was known before the change, and comes to commit it afterwards, must see it.
create table unsettled (
    collection smallint not null,
    id         uuid     not null,
    -- Of `grouping`, when it was last made uncertain.
    version    bigint   not null,
    settled    boolean  not null,
    constraint unsettled_pkey primary key (collection, id)
);
-- The oldest first.
create index unsettled_version_idx on unsettled (version) where not settled;

-- The texts that an article may show in any of its revisions. One that nobody may show any more is deleted.
create table article_text_use (
    article uuid  not null,
    sha256  bytea not null,
    constraint article_text_use_pkey primary key (article, sha256)
);
-- Whether anybody may show a text.
create index article_text_use_sha256_idx on article_text_use (sha256);

insert into article_text_use (article, sha256)
select id, text_sha256
from article
where text_sha256 is not null;

-- Former revisions have it in field 24, as the tag, the length and 64 digits. One from before the text was WITHHELD
-- (field 22 is 3), at whatever time, shows none.
insert into article_text_use (article, sha256)
select found.article, decode(found.sha256, 'hex')
from (
    select former.id as article,
           encode(substring(former.doc from position('\xc20140'::bytea in former.doc) + 3 for 64), 'escape') as sha256
    from superseded as former
    join article on article.id = former.id
    where former.collection = 2
      and position('\xc20140'::bytea in former.doc) > 0
      and position('\xb00103'::bytea in former.doc) = 0
      and position('\xb00103'::bytea in article.doc) = 0
      and not exists (
          select from superseded as later
          where later.collection = 2
            and later.id = former.id
            and later.revision > former.revision
            and position('\xb00103'::bytea in later.doc) > 0
      )
) as found
where found.sha256 ~ '^[0-9a-f]{64}$'
on conflict on constraint article_text_use_pkey do nothing;

delete from article_text
where not exists (select from article_text_use where article_text_use.sha256 = article_text.sha256);
