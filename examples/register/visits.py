"""Turns a register of visits to one country into stories: python visits.py visits.csv >stories.ndjson"""

import csv
import json
import sys

from countries import region
from people import met, person, split
from rows import date_span, evidence

HOST = "US"
CLASSES = {"state", "official", "working", "private"}

for row in csv.DictReader(open(sys.argv[1], encoding="utf-8")):
    text = f"{row['visitor']} ({row['country']}). {row['description']}".strip()
    home, participants, participations, quotes = region(row["country"]), [], [], []
    for number, (title, name) in enumerate(split(row["visitor"])):
        key = f"visitor-{number + 1}"
        participants.append({"key": key, "participant": person(title, name, home)})
        office = {"title": title.strip(" -"), "regionCode": home, "seniority": 1} if title else {}
        participations.append({"id": key, "participant": f"#{key}", "nameAsWritten": title + name, "office": office,
                               "regionCode": home, "presence": "PRESENT", "roles": ["VISITOR"]})
        quotes.append(evidence(f"participations[{number}].name_as_written", title + name, text))
    for name in met(row["description"]):
        participations.append({"nameAsWritten": name, "presence": "PRESENT"})
        quotes.append(evidence(f"participations[{len(participations) - 1}].name_as_written", name, text))
    visit_class = row["description"].split(" ")[0].lower()
    account = {"kind": "VISIT", "status": "HELD", "title": f"Visit of {row['visitor']} ({row['country']})",
               "date": date_span(row), "place": {"regionCode": HOST}, "participations": participations,
               "externalIds": [{"scheme": "visits", "value": row["id"]}]}
    if visit_class in CLASSES:
        account["visitType"] = visit_class.upper()
    article = {"uri": f"urn:visits:{row['id']}", "title": account["title"], "text": text, "textRights": "FULL_TEXT",
               "languageCode": "en"}
    print(json.dumps({"article": article, "participants": participants,
                      "reports": [{"key": "visit", "account": account, "evidence": quotes}]}, ensure_ascii=False))
