-- Where sources disagree, how many there are, and rulings: reports that no article gives.

alter table report
    alter column article drop not null;
comment on column report.article is 'null in a ruling';

alter table meeting
    add column has_dispute boolean not null default false,
    add column report_count integer not null default 0,
    add column independent_source_count integer not null default 0;
comment on column meeting.has_dispute is 'of a meeting that was settled before this column was there: false, until it is settled anew';
comment on column meeting.report_count is 'active reports of articles';
comment on column meeting.independent_source_count is 'distinct origins of their articles';

-- The filter has_dispute: of many meetings few are disputed.
create index meeting_dispute_idx on meeting (id) where has_dispute;

update meeting
set report_count = counted.reports,
    independent_source_count = counted.origins
from (
    select report.meeting, count(*) as reports, count(distinct article.origin) as origins
    from report
    join article on article.id = report.article
    where report.retract_time is null
    group by report.meeting
) as counted
where meeting.id = counted.meeting;
