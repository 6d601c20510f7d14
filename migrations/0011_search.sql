-- Full text: what articles and statements are searched by.

-- Words come folded (src/model/search.rs): in lower case, without accents, and with nothing between them but spaces. So
-- they are the same on servers of every locale, of which C knows no letters but those of ASCII.

-- The configuration that finds the stems of a language (BCP 47); null where there is none.
create function search_config(language text) returns regconfig
    language sql immutable parallel safe
    return case split_part(lower(language), '-', 1)
        when 'ar' then 'pg_catalog.arabic'::regconfig
        when 'ca' then 'pg_catalog.catalan'::regconfig
        when 'da' then 'pg_catalog.danish'::regconfig
        when 'de' then 'pg_catalog.german'::regconfig
        when 'el' then 'pg_catalog.greek'::regconfig
        when 'en' then 'pg_catalog.english'::regconfig
        when 'es' then 'pg_catalog.spanish'::regconfig
        when 'eu' then 'pg_catalog.basque'::regconfig
        when 'fi' then 'pg_catalog.finnish'::regconfig
        when 'fr' then 'pg_catalog.french'::regconfig
        when 'ga' then 'pg_catalog.irish'::regconfig
        when 'hi' then 'pg_catalog.hindi'::regconfig
        when 'hu' then 'pg_catalog.hungarian'::regconfig
        when 'hy' then 'pg_catalog.armenian'::regconfig
        when 'id' then 'pg_catalog.indonesian'::regconfig
        when 'it' then 'pg_catalog.italian'::regconfig
        when 'lt' then 'pg_catalog.lithuanian'::regconfig
        when 'nb' then 'pg_catalog.norwegian'::regconfig
        when 'ne' then 'pg_catalog.nepali'::regconfig
        when 'nl' then 'pg_catalog.dutch'::regconfig
        when 'nn' then 'pg_catalog.norwegian'::regconfig
        when 'no' then 'pg_catalog.norwegian'::regconfig
        when 'pt' then 'pg_catalog.portuguese'::regconfig
        when 'ro' then 'pg_catalog.romanian'::regconfig
        when 'ru' then 'pg_catalog.russian'::regconfig
        when 'sr' then 'pg_catalog.serbian'::regconfig
        when 'sv' then 'pg_catalog.swedish'::regconfig
        when 'ta' then 'pg_catalog.tamil'::regconfig
        when 'tr' then 'pg_catalog.turkish'::regconfig
        when 'yi' then 'pg_catalog.yiddish'::regconfig
    end;

-- The words of a text as they stand, and after them their stems.
create function search_words(language text, words text) returns tsvector
    language sql immutable parallel safe
    return case
        when search_config(language) is null then to_tsvector('pg_catalog.simple', words)
        else to_tsvector('pg_catalog.simple', words) || to_tsvector(search_config(language), words)
    end;

create function search_article(language text, title text, words text) returns tsvector
    language sql immutable parallel safe
    return setweight(search_words(language, title), 'A') || search_words(language, coalesce(words, ''));

-- What is asked for, in the web-search syntax: all words as they stand, or all by their stems.
create function search_question(language text, words text) returns tsquery
    language sql immutable parallel safe
    return case
        when search_config(language) is null then websearch_to_tsquery('pg_catalog.simple', words)
        else websearch_to_tsquery('pg_catalog.simple', words) || websearch_to_tsquery(search_config(language), words)
    end;

alter table article
    add column search tsvector not null default '';
comment on column article.search is 'the words of the title (weight A) and of the text, where that may be shown';

-- ListArticles with a query.
create index article_search_idx on article using gin (search);

-- What the active reports of articles say was said.
create table statement (
    report        uuid     not null,
    -- Its place in the report, from 0.
    number        integer  not null,
    meeting       uuid     not null,
    article       uuid     not null,
    speaker_kind  smallint,
    act           smallint,
    quotation     smallint,
    -- Its own, or its article's when that was reported.
    language_code text,
    -- Those of the meeting, when it was settled last.
    sort_date     date     not null,
    days          daterange,
    search        tsvector not null,
    constraint statement_pkey primary key (report, number)
);

-- ListStatements by one field, in the order of reports; the first also when a meeting moves in time.
create index statement_meeting_idx on statement (meeting, report, number);
create index statement_article_idx on statement (article, report, number);
create index statement_speaker_kind_idx on statement (speaker_kind, report, number);
create index statement_act_idx on statement (act, report, number);
create index statement_quotation_idx on statement (quotation, report, number);
create index statement_language_idx on statement (language_code, report, number);
create index statement_days_idx on statement using spgist (days) include (report, number);
-- ListStatements in the order of dates, one way and the other.
create index statement_sort_date_idx on statement (sort_date, report, number);
-- ListStatements with a query.
create index statement_search_idx on statement using gin (search);

-- Who speaks, by the report's own account: the filters `speaker` and `region`.
create table statement_speaker (
    participant uuid    not null,
    report      uuid    not null,
    number      integer not null,
    constraint statement_speaker_pkey primary key (participant, report, number)
);
create table statement_region (
    region_code text    not null,
    report      uuid    not null,
    number      integer not null,
    constraint statement_region_pkey primary key (region_code, report, number)
);

create table statement_topic (
    topic  text    not null,
    report uuid    not null,
    number integer not null,
    constraint statement_topic_pkey primary key (topic, report, number)
);

insert into reindex (collection)
select 2 where exists (select from article)
union all
select 3 where exists (select from report)
on conflict on constraint reindex_pkey do nothing;
