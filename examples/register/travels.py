"""Turns a register of travels abroad into stories: python travels.py travels.csv >stories.ndjson"""

import csv
import json
import re
import sys

from countries import region
from people import met, person
from rows import date_span, evidence

HOME = "US"
OFFICES = {"president": ("President", 1), "secretary": ("Secretary of State", 2)}

for row in csv.DictReader(open(sys.argv[1], encoding="utf-8")):
    text = f"{row['traveller']}: {row['country']}, {row['places']}. {row['remarks']}".strip()
    there = region(row["country"])
    # A remark in parentheses says where a place is.
    places = [place.strip() for place in re.sub(r"\([^)]*\)", "", row["places"]).split(",") if place.strip()]
    title, seniority = OFFICES[row["role"]]
    office = {"title": title, "regionCode": HOME, "seniority": seniority}
    participations = [{"id": "traveller", "participant": "#traveller", "nameAsWritten": row["traveller"],
                       "office": office, "regionCode": HOME, "presence": "PRESENT", "roles": ["VISITOR"]}]
    participations += [{"nameAsWritten": name, "presence": "PRESENT"} for name in met(row["remarks"])]
    quotes = [evidence(f"participations[{number}].name_as_written", participation["nameAsWritten"], text)
              for number, participation in enumerate(participations)]
    account = {"kind": "VISIT", "status": "HELD", "title": f"{row['traveller']} in {row['country']}",
               "date": date_span(row), "place": {"regionCode": there, "locality": places[0] if places else ""},
               "participations": participations, "externalIds": [{"scheme": "travels", "value": row["id"]}]}
    if len(places) > 1:
        account["stops"] = [{"place": {"regionCode": there, "locality": place}} for place in places[1:]]
    article = {"uri": f"urn:travels:{row['id']}", "title": account["title"], "text": text, "textRights": "FULL_TEXT",
               "languageCode": "en"}
    traveller = {"key": "traveller", "participant": person("", row["traveller"], HOME)}
    print(json.dumps({"article": article, "participants": [traveller],
                      "reports": [{"key": "visit", "account": account, "evidence": quotes}]}, ensure_ascii=False))
