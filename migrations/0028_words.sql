-- Full text of participants and meetings, and words that come as vectors.

-- The vector of the words as they are written comes from the service (src/model/query/search/word_vector.rs), because
-- words of scripts without spaces are pairs of characters, and the parser of PostgreSQL splits words at marks. The
-- functions `search_words`, `search_article` and `search_question` stay for services of a former version that still run.

-- The configuration that finds the stems of a language, by BCP 47 or by ISO 639-2 and 639-3; null where there is none.
create or replace function search_config(language text) returns regconfig
    language sql immutable parallel safe
    return case split_part(lower(language), '-', 1)
        when 'ar' then 'pg_catalog.arabic'::regconfig
        when 'ara' then 'pg_catalog.arabic'::regconfig
        when 'arb' then 'pg_catalog.arabic'::regconfig
        when 'hy' then 'pg_catalog.armenian'::regconfig
        when 'hye' then 'pg_catalog.armenian'::regconfig
        when 'arm' then 'pg_catalog.armenian'::regconfig
        when 'eu' then 'pg_catalog.basque'::regconfig
        when 'eus' then 'pg_catalog.basque'::regconfig
        when 'baq' then 'pg_catalog.basque'::regconfig
        when 'ca' then 'pg_catalog.catalan'::regconfig
        when 'cat' then 'pg_catalog.catalan'::regconfig
        when 'da' then 'pg_catalog.danish'::regconfig
        when 'dan' then 'pg_catalog.danish'::regconfig
        when 'nl' then 'pg_catalog.dutch'::regconfig
        when 'nld' then 'pg_catalog.dutch'::regconfig
        when 'dut' then 'pg_catalog.dutch'::regconfig
        when 'en' then 'pg_catalog.english'::regconfig
        when 'eng' then 'pg_catalog.english'::regconfig
        when 'fi' then 'pg_catalog.finnish'::regconfig
        when 'fin' then 'pg_catalog.finnish'::regconfig
        when 'fr' then 'pg_catalog.french'::regconfig
        when 'fra' then 'pg_catalog.french'::regconfig
        when 'fre' then 'pg_catalog.french'::regconfig
        when 'de' then 'pg_catalog.german'::regconfig
        when 'deu' then 'pg_catalog.german'::regconfig
        when 'ger' then 'pg_catalog.german'::regconfig
        when 'el' then 'pg_catalog.greek'::regconfig
        when 'ell' then 'pg_catalog.greek'::regconfig
        when 'gre' then 'pg_catalog.greek'::regconfig
        when 'hi' then 'pg_catalog.hindi'::regconfig
        when 'hin' then 'pg_catalog.hindi'::regconfig
        when 'hu' then 'pg_catalog.hungarian'::regconfig
        when 'hun' then 'pg_catalog.hungarian'::regconfig
        when 'id' then 'pg_catalog.indonesian'::regconfig
        when 'ind' then 'pg_catalog.indonesian'::regconfig
        when 'ga' then 'pg_catalog.irish'::regconfig
        when 'gle' then 'pg_catalog.irish'::regconfig
        when 'it' then 'pg_catalog.italian'::regconfig
        when 'ita' then 'pg_catalog.italian'::regconfig
        when 'lt' then 'pg_catalog.lithuanian'::regconfig
        when 'lit' then 'pg_catalog.lithuanian'::regconfig
        when 'ne' then 'pg_catalog.nepali'::regconfig
        when 'nep' then 'pg_catalog.nepali'::regconfig
        when 'npi' then 'pg_catalog.nepali'::regconfig
        when 'no' then 'pg_catalog.norwegian'::regconfig
        when 'nor' then 'pg_catalog.norwegian'::regconfig
        when 'nb' then 'pg_catalog.norwegian'::regconfig
        when 'nob' then 'pg_catalog.norwegian'::regconfig
        when 'nn' then 'pg_catalog.norwegian'::regconfig
        when 'nno' then 'pg_catalog.norwegian'::regconfig
        when 'pt' then 'pg_catalog.portuguese'::regconfig
        when 'por' then 'pg_catalog.portuguese'::regconfig
        when 'ro' then 'pg_catalog.romanian'::regconfig
        when 'ron' then 'pg_catalog.romanian'::regconfig
        when 'rum' then 'pg_catalog.romanian'::regconfig
        when 'ru' then 'pg_catalog.russian'::regconfig
        when 'rus' then 'pg_catalog.russian'::regconfig
        when 'sr' then 'pg_catalog.serbian'::regconfig
        when 'srp' then 'pg_catalog.serbian'::regconfig
        when 'es' then 'pg_catalog.spanish'::regconfig
        when 'spa' then 'pg_catalog.spanish'::regconfig
        when 'sv' then 'pg_catalog.swedish'::regconfig
        when 'swe' then 'pg_catalog.swedish'::regconfig
        when 'ta' then 'pg_catalog.tamil'::regconfig
        when 'tam' then 'pg_catalog.tamil'::regconfig
        when 'tr' then 'pg_catalog.turkish'::regconfig
        when 'tur' then 'pg_catalog.turkish'::regconfig
        when 'yi' then 'pg_catalog.yiddish'::regconfig
        when 'yid' then 'pg_catalog.yiddish'::regconfig
    end;

-- The words as they are written, and after them the stems of a title and of a text.
create function search_vector(language text, literal text, title text, words text) returns tsvector
    language sql immutable parallel safe
    return case
        when search_config(language) is null then literal::tsvector
        else literal::tsvector
            || setweight(to_tsvector(search_config(language), coalesce(title, '')), 'A')
            || to_tsvector(search_config(language), coalesce(words, ''))
    end;

alter table participant
    add column search tsvector not null default '';
comment on column participant.search is 'the words of the display name (weight A) and of the other names';

-- ListParticipants with a query.
create index participant_search_idx on participant using gin (search);

alter table meeting
    add column search tsvector not null default '';
comment on column meeting.search is 'the words of the title (weight A), the summary and the topics; statements have their own';

-- ListMeetings with a query.
create index meeting_search_idx on meeting using gin (search);

-- The service fills the columns as it brings the words to its version.
insert into folding (collection, version)
values (1, 0), (4, 0)
on conflict on constraint folding_pkey do nothing;
