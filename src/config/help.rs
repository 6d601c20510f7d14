//! The text of `--help` below the options of a command.

pub const CONFIG: &str = "\
The output is an environment file with one setting on each line, in sections by the source of the settings. Secrets \
are printed as ***.

Exit status: 0 a service can start with this configuration, 2 it cannot, with the reason that `serve` would give.";

pub const REINDEX: &str = "\
An older release does not write the index rows that a newer release queries. A migration writes them for all existing \
records. Records that old instances write after the migration are missing from queries until this command has run. \
Services may run at the same time.";

pub const IMPORT: &str = "\
Each message is a readout.v1.Story in ProtoJSON, unless --format names an extractor, whose messages become stories \
(docs/extraction.md). In a file that begins with the header of an export, each message is a \
readout.v1.ExportRecord. The messages of a file are concatenated, with or without line ends between and inside \
them, or form an array of any length. The encoding is UTF-8, with or without a byte order mark. gzip and zstd are \
detected by the first bytes of the file, not by its name. A message has at most 64 MiB of JSON, and 8 MiB in its \
binary encoding.

A repeated import is safe: existing records are matched and left unchanged. Records of an export keep their names. A \
record that refers to a later record waits until the other records of its kind are written.

Totals: `stories` counts the accepted stories. `articles`, `meetings`, `reports` and `participants` count the distinct \
resources of the accepted messages. `created` counts those that the import created, `matched` those that existed. \
`failed` counts the messages that were refused or could not be read. `differs` counts the messages whose article or \
record exists with other content and was left unchanged. Each failed or differing message is printed on standard error \
with its file, its first line, its uri or name, and the reason. Of many errors of one kind, the first few are printed \
and all are counted.

After a malformed message, reading continues at the next line that may start a message. If there is none, the import \
reports that and continues with the next file.

Exit status: 0 all messages were accepted, 1 some failed or differ, 2 the import did not start, or stopped early.";

pub const EXPORT: &str = "\
The first line is a header. It is followed by participants and articles in the order of their names, reports in the \
order of their meetings' names and their own names, rulings in the order of their creation, and the reviews of \
meetings that are REVIEWED. Each line is a readout.v1.ExportRecord in canonical ProtoJSON. Values that the service \
derives (settled accounts, revisions, times, hashes) are omitted. `readout import` restores the records under the same \
names, and an export of the restored records has the same bytes.

The export omits deleted records, retracted reports, withdrawn rulings, meetings without other reports, and merged \
meetings, whose reports are exported with the meeting that they were merged into. It also omits evidence that an \
import could not check: quotes that are no longer in their article's text, and quotes of articles whose text is \
withheld. Omissions are counted on standard error.

Exit status: 0 the export is complete; 1 the reader of standard output has closed it, or the export misses records \
that it names because of concurrent writes: export again; 2 the export did not start, or stopped early.";

pub const WATCH: &str = "\
Each line is a readout.v1.Change in canonical ProtoJSON. A watch that is interrupted, for example by a restart of the \
service, resumes after the last line. With a cursor file, the next run resumes there too. A line may be printed twice \
if a run was killed between printing the line and saving its cursor, but no line is lost. A cursor belongs to one \
filter.

If the service is not reachable yet, the command retries for half a minute and reports that on standard error. A wrong \
address, host name or credential ends the watch at once.

Exit status: 0 all changes were printed (with --until-caught-up); 1 the reader of standard output has closed it; 2 the \
watch did not start or resume: its changes have expired, or the database was restored.";

pub const DUPLICATES: &str = "\
On a terminal, the command shows one pair at a time, the strongest first, and reads one key: s same, d different, n or \
space skip, u undo the last judgement, q quit. It passes over a pair that has been judged or settled since, or of which a \
participant is deleted. It ends with the number of judged pairs.

If standard input or standard output is no terminal, each line is a readout.v1.ListDuplicatesResponse.Duplicate in \
canonical ProtoJSON.

With --apply, each object has the fields participant and other (a name, or an object with the field name), verdict \
(SAME, DIFFERENT or WITHDRAWN) and, optionally, reason. A printed pair with a verdict is such an object, too; its other \
fields, and time, are ignored. The objects are concatenated, with or without line ends, or form an array. They are \
judged in their order. A file has one judgement on a pair: a later object with another verdict or another reason fails.

Totals: `judged` counts the judgements that the service has stored. `unchanged` counts those that it had: the same \
verdict with the same reason, or with any reason if the object has none, and WITHDRAWN without a judgement. `failed` \
counts the objects that were refused or could not be read. A file that is applied again changes nothing. A dry run has \
the same totals and errors, except that it misses a limit that only the objects together exceed, such as that of the \
judgements of one participant.

Exit status: 0 done; 1 some objects failed, or the reader of standard output has closed it; 2 the command did not start, \
or stopped early.";

pub const COMPLETIONS: &str = "\
bash: readout completions bash > ~/.local/share/bash-completion/completions/readout
zsh:  readout completions zsh > \"${fpath[1]}/_readout\"
fish: readout completions fish > ~/.config/fish/completions/readout.fish";

pub const NEW_EPOCH: &str = "\
A backup lacks the changes that followed it, and a restored database assigns their positions a second time. In a new \
epoch, older cursors and positions are refused with EPOCH_CHANGED, so that clients list again instead of missing \
changes. Running instances use the new epoch at once. Prints the new epoch.";

pub const EXPUNGE: &str = "\
Does what EraseArticleText does, with the same rules for --reason. An article that hides its text (WITHHELD) loses it \
too. Each article gets a revision whose text is WITHHELD, with a change EXPUNGED and the reason. Its title, the length and hash of its \
text, and its reports stay. So do the short quotes that reports have as evidence. Another article with the same text \
keeps its text. Backups may still have the erased text, and so do the files of the database until it is vacuumed.

Services may run on the database. To reach the embedded database of a running service, give the URL that the service \
logs at its start as --database-url.

Exit status: 0 none of these articles has a text any more; 1 an article does not exist, and nothing was erased, or the \
database failed.";
