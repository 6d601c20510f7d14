"""Codes of regions for the names of countries in registers: ISO 3166 by pycountry, and a table of other names."""

import re

import pycountry

# Names that ISO 3166 does not have, and states that were. A state without a code of its own has that of the state that
# continued it; one that became part of another state has none.
OTHER = {
    "Bosnia": "BA", "Bosnia-Herzegovina": "BA", "Bosnian Federation": "BA", "Brunei": "BN", "Burma": "MM",
    "Byelorussia": "BY", "Cape Verde": "CV", "Ceylon": "LK", "China, People’s Republic of": "CN",
    "China, Republic of": "TW", "Congo, Democratic Republic of": "CD", "Congo, Republic of": "CG",
    "Cote d’Ivoire": "CI", "Cote d'Ivoire": "CI", "Czech Republic": "CZ", "Czechoslovakia": "CS", "Dahomey": "DY",
    "Democratic Republic of the Congo": "CD", "Denmark (Greenland)": "GL", "East Timor": "TL",
    "German Democratic Republic": "DD", "Germany, Federal Republic of": "DE", "Greenland": "GL", "Hawaii": "",
    "Holy See": "VA", "Ivory Coast": "CI", "Khmer Republic": "KH", "Kirghizia": "KG", "Kyrgyz Republic": "KG",
    "Korea": "KR", "Korea, North": "KP", "Korea, South": "KR", "Kosovo": "XK", "Macedonia": "MK",
    "Macedonia, Former Yugoslav Republic of": "MK", "Malaya": "MY", "Micronesia": "FM", "Muscat & Oman": "OM",
    "Netherlands Antilles": "AN", "Palestinian Authority": "PS", "Republic of China": "TW", "Russia": "RU",
    "Serbia and Montenegro": "CS", "Serbia-Montenegro": "CS", "Serbia-Montenegro (Kosovo)": "XK", "Siam": "TH",
    "Somali Republic": "SO", "Somoa": "WS", "Southern Rhodesia": "RH", "St. Christopher and Nevis": "KN",
    "St. Kitts and Nevis": "KN", "St. Lucia": "LC", "St. Vincent and the Grenadines": "VC", "Swaziland": "SZ",
    "Tanganyika": "TZ", "The Gambia": "GM", "Timor Leste": "TL", "Turkey": "TR", "U.S.S.R.": "SU",
    "Union of South Africa": "ZA", "Upper Volta": "HV", "Vatican City": "VA", "West Bank": "PS",
    "Western Samoa": "WS", "Yemen Arab Republic": "YE", "Yugoslavia": "YU", "Yugoslavia (Kosovo)": "XK",
    "Zimbabwe Rhodesia": "RH",
}


def region(name: str) -> str:
    """The code of a country; empty for a state without one. Another name, or a remark, may be in parentheses."""
    for part in [name, *map(str.strip, re.findall(r"[^()]+", name))]:
        if part in OTHER:
            return OTHER[part]
        try:
            return pycountry.countries.lookup(part).alpha_2
        except LookupError:
            pass
    raise SystemExit(f"{name!r} is not the name of a country: add it to countries.py")
