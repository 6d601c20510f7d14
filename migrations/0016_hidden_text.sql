-- A text that becomes WITHHELD is hidden and stays stored, so that its article can show it again. The rights of the
-- current revision decide for all revisions. Adding the column rewrites no row.

alter table article
    add column hides_text boolean not null default false;
comment on column article.hides_text is 'true if the current revision is WITHHELD: no revision shows a text; false in rows that were WITHHELD before this column and have no text in article_text_use';
