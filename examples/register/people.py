"""People in registers: a title and a name in one field, several people in one field, people met in a remark."""

import re

# Words of titles, with the misprints of the registers.
TITLE = (
    r"(?:(?:Acting|Crown|Deputy|Federal|First|Foreign|Grand|Interim|Junta|Prime|Provisional|Vice|[A-Z]\w+ General) )*"
    r"(?:Amir|Chairman|Chancellor|Chief Executive|Chief of State|Duchess|Duke|Emir|Emperor|Empress|General|Governor|"
    r"Head of Government|Head of State|King|Leader|Member|Minist?ere?r?|Minster|Pope|Premier|President|Prince|Princess|"
    r"Queen|Regent|Secretary|Shah|Sheikh?|Sultan|Taoiseach)"
    r"(?:-? ?(?:[Ee]lect|designate|General)|[ -]of (?:State|the (?:Council of Ministers|Presidency)))?"
)
# Titles that are part of the name: nobody calls them by the name alone.
REIGNING = re.compile(
    r"(?:Grand |Crown )?"
    r"(?:Amir|Duchess|Duke|Emir|Emperor|Empress|King|Pope|Prince|Princess|Queen|Regent|Shah|Sheikh|Sultan)\b"
)
WORD = r"(?:(?:a[dlnrst]|ash|el|ul)-)?[A-ZÀ-Þ][\w.’'-]*"
NAME = rf"{WORD}(?: (?:(?:al|bin|ben|bint|ibn|da|de|del|di|do|dos|du|la|van|von|der|el|ul) )*{WORD})*"


def split(field: str) -> list[tuple[str, str]]:
    """The people of a field, each with the title and the name: "President A and Prime Minister B" are two."""
    parts = re.split(rf"(?:, | and )(?={TITLE} )", field)
    if any(not re.match(rf"{TITLE} \S", part) for part in parts):
        parts = [field]
    return [re.match(rf"((?:{TITLE}(?: and | & |-| |(?=[A-Z])))*)(.*)", part).groups() for part in parts]


def person(title: str, name: str, region: str) -> dict:
    """The participant of a title and a name. A single name, and that of a monarch, is known with its title only."""
    title, names = title.strip(), []
    if nickname := re.search(r" \(([^)]+)\)", name):
        # "J. M. (Tom) Adams" is J. M. Adams, and Tom Adams.
        names = [{"text": nickname[1] + name[nickname.end() :], "kind": "ALIAS"}]
        name = name[: nickname.start()] + name[nickname.end() :]
    if title and (" " not in name or REIGNING.match(title)):
        name = f"{title} {name}"
    return {"kind": "PERSON", "displayName": name, "regionCode": region, "names": names}


def met(remark: str) -> list[str]:
    """The people that a remark says somebody met, with their titles, each once."""
    found = []
    for clause in re.findall(r"\b[Mm]et with ([^.;]*)", remark):
        found += re.findall(rf"\b{TITLE} {NAME}", clause)
    return list(dict.fromkeys(found))
