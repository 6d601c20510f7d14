//! The long part of `--help`, below the options of a command.

pub const CONFIG: &str = "\
The lines are those of an environment file, one a setting, in sections by where each comes from. Of what may hold a \
secret only what is none is printed.

Exit status: 0 a service can be started so, 2 it cannot, with the reason that `serve` would tell.";

pub const REINDEX: &str = "\
An older release writes records without what a newer one looks them up by. A migration fills that for all records that \
are there; what old instances write after it, until the last one has ended, is found again once this has run. \
Services may run meanwhile.";

pub const IMPORT: &str = "\
Each message is a readout.v1.Story in ProtoJSON or, in a file that begins with the header of an export, a \
readout.v1.ExportRecord. A file has its messages one after another, with or without line ends between and in them, or \
in an array, which may be of any length. It is UTF-8, with or without a byte order mark. gzip and zstd are known by the \
first bytes of the file, whatever its name is. A message has at most 64 MiB of JSON, and 8 MiB as it is sent.

A repeated import is safe: what is there is found and left as it is. Records of an export keep their names. One that \
refers to a record further on waits until the rest of its sort is written.

Totals: `stories` counts the accepted stories. `articles`, `meetings`, `reports` and `participants` count the distinct \
resources that the accepted messages led to; of these, `created` did not exist before this import and `matched` did. \
`failed` counts the messages that were refused or could not be read. `differs` counts those of an article or a record \
that is there with other content, which was left as it is. Each of them is printed on standard error with its file, the \
line where it begins, its uri or name, and the reason; of many of one kind the first few, and then how many there are.

After a message that is no JSON, reading continues with the next line, or with the next line that begins a message; \
where none does, the import says so and goes to the next file.

Exit status: 0 all messages were accepted, 1 some failed or differ, 2 the import could not start or had to be broken \
off.";

pub const EXPORT: &str = "\
The first line is a header; then come participants and articles in the order of their names, reports in the order of \
their meetings' names and their own, rulings in the order in which they were made, and the reviews of meetings that are \
REVIEWED, each a readout.v1.ExportRecord in canonical ProtoJSON. What the service derives (settled accounts, revisions, \
times, hashes) is left out. `readout import` reads it back under the same names, and an export of that has the same \
bytes.

Left out, and counted on standard error, is what is deleted, reports that were retracted and rulings that were \
withdrawn, meetings without other reports, and merged meetings, whose reports stand under the ones that they were merged \
into. So is evidence that could not be checked again: quotes that no longer stand in their article's text, and those of \
articles whose text is withheld.

Exit status: 0 all was written; 1 nobody reads the lines any more, or others wrote during the export, so that it misses \
records that it names: export again; 2 the export could not start or had to be broken off.";

pub const WATCH: &str = "\
Each line is a readout.v1.Change in canonical ProtoJSON. A watch that is cut off, as when the service restarts, \
continues after the last line. With a cursor file so does the next run: a line may come twice, when a run was killed \
between printing it and keeping its cursor, but none is left out. The cursor is that of one filter.

A service that is not there yet is waited for, half a minute long, and standard error says so. An address, a name or \
credentials that are wrong end the watch at once.

Exit status: 0 with --until-caught-up, when that is so; 1 nobody reads the lines any more; 2 the watch could not start, \
or cannot continue: its changes are no longer kept, or the database was restored.";

pub const COMPLETIONS: &str = "\
bash: readout completions bash > ~/.local/share/bash-completion/completions/readout
zsh:  readout completions zsh > \"${fpath[1]}/_readout\"
fish: readout completions fish > ~/.config/fish/completions/readout.fish";

pub const NEW_EPOCH: &str = "\
A backup does not have the changes that came after it, and their positions will be given again. In a new epoch, cursors \
and positions from before are refused with EPOCH_CHANGED, and whoever follows lists again instead of missing changes. \
Instances that are running take it up at once. Prints the new epoch.";

pub const EXPUNGE: &str = "\
Each article gets a revision whose text is WITHHELD, with a change EXPUNGED; its title, its measure and its reports stay. \
So do the words that reports quote as evidence: they are short quotations. Another article that has the same text by \
right keeps it. What is erased may still be in backups, and in files of the database until it is vacuumed.

Works while services run on the database. The private database of a running service is reached by the url that it \
logs at its start, as --database-url.

Exit status: 0 none of these articles has a text any more, 1 one is not there, and nothing was erased, or the database \
failed.";
