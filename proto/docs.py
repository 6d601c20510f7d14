"""Writes the API reference in Markdown, one page per .proto file, from the contract's comments and rules.

usage: buf build --path readout -o -#format=json | python3 docs.py FOLDER

Input is a descriptor set with source information in JSON. Equal contracts give equal bytes.
"""

import json
import pathlib
import re
import sys
import textwrap

PACKAGE = ".readout.v1."
GENERATED = "<!-- Generated from proto/readout/v1 by `make docs`: edit the comments of the .proto files. -->"
REASON = "ErrorReason"
ROLE = "[readout.v1.role]"
SCOPE_RULE = "[readout.v1.scope_rule]"
# The one page whose name is not that of its file.
NAMES = {"error_reason": "errors"}

# The schema of a story for language models: the fields of each message, each with True if the schema requires it.
SCHEMA = "story.schema.json"
SCHEMA_FIELDS = {
    ".readout.v1.Story": {"article": True, "reports": True},
    ".readout.v1.Article": {"uri": True, "text": True},
    ".readout.v1.StoryReport": {"account": True, "evidence": False},
    ".readout.v1.Account": {"title": True, "date": False, "participations": True, "kind": False, "status": False},
    ".readout.v1.DateSpan": {"start": True, "end": False},
    ".google.type.Date": {"year": True, "month": False, "day": False},
    ".readout.v1.Participation": {"name_as_written": True, "participant_kind": False, "presence": False},
    ".readout.v1.Evidence": {"field": True, "quote": True},
}

# Field numbers in descriptor.proto, by which source information finds elements.
MESSAGE, ENUM, SERVICE, EXTENSION = 4, 5, 6, 7
FIELD, NESTED, NESTED_ENUM, ONEOF, MEMBER = 2, 3, 4, 8, 2


class Page:
    """One .proto file: its elements with their comments, and the page that documents them."""

    def __init__(self, file):
        stem = pathlib.PurePath(file["name"]).stem
        self.file, self.name = file, NAMES.get(stem, stem) + ".md"
        locations = file["sourceCodeInfo"]["location"]
        self.comments = {tuple(at.get("path", [])): at.get("leadingComments", "") for at in locations}
        self.types = []
        for index, message in enumerate(file.get("messageType", [])):
            self.add(message, (MESSAGE, index), "")
        for index, enum in enumerate(file.get("enumType", [])):
            self.types.append((enum["name"], enum, (ENUM, index)))

    def add(self, message, path, outer):
        if message.get("options", {}).get("mapEntry"):
            return
        name = outer + message["name"]
        self.types.append((name, message, path))
        for index, enum in enumerate(message.get("enumType", [])):
            self.types.append((f"{name}.{enum['name']}", enum, (*path, NESTED_ENUM, index)))
        for index, nested in enumerate(message.get("nestedType", [])):
            self.add(nested, (*path, NESTED, index), name + ".")

    def methods(self):
        for at, service in enumerate(self.file.get("service", [])):
            for index, method in enumerate(service["method"]):
                yield method, (SERVICE, at, MEMBER, index)

    def comment(self, path):
        return [line.removeprefix(" ").rstrip() for line in self.comments.get(path, "").strip("\n").split("\n")]


class Contract:
    def __init__(self, image):
        self.pages = [Page(file) for file in image["file"] if file.get("package") == PACKAGE.strip(".")]
        # Page and anchor of each type, service, method and reason; the entry types of maps.
        self.links, self.entries, self.reasons = {}, {}, []
        for page in self.pages:
            for service in page.file.get("service", []):
                self.links[service["name"]] = page.name
            for method, _ in page.methods():
                self.links[method["name"]] = f"{page.name}#{anchor(method['name'])}"
            for name, element, _ in page.types:
                self.links[name] = f"{page.name}#{anchor(name)}"
                for nested in element.get("nestedType", []):
                    if nested.get("options", {}).get("mapEntry"):
                        self.entries[f"{PACKAGE}{name}.{nested['name']}"] = nested
                if name == REASON:
                    self.reasons = [value["name"] for value in element["value"] if value.get("number", 0)]
                    self.links[name] = page.name
                    self.links.update({reason: f"{page.name}#{anchor(reason)}" for reason in self.reasons})

    def link(self, name, page):
        target = self.links[name]
        return f"[{name}]({target.removeprefix(page) if target.startswith(page + '#') else target})"

    def text(self, lines, page, itself=""):
        """A comment as Markdown: names of the contract become links, and examples in JSON become code."""
        text = "\n".join(f"`{line}`" if line.startswith('{"') else line for line in lines)
        parts = re.split(r"(`[^`]*`)", text)
        for index in range(0, len(parts), 2):
            part = parts[index].replace("<", "&lt;").replace(">", "&gt;").replace("*", "\\*")
            parts[index] = re.sub(r"\b[A-Z]\w+\b", lambda match: self.linked(match[0], page, itself), part)
        for index in range(1, len(parts), 2):
            named = re.fullmatch(r"`([A-Z]\w+)\.[\w.]+`", parts[index])
            if named and named[1] in self.links and named[1] != itself:
                parts[index] = self.link(named[1], page).replace(f"[{named[1]}]", f"[{parts[index]}]")
        return "".join(parts)

    def linked(self, word, page, itself):
        is_name = word in self.reasons or re.search("[a-z][A-Z]", word)
        return self.link(word, page) if is_name and word in self.links and word != itself else word

    def type(self, field, page):
        name = field.get("typeName", "")
        if name in self.entries:
            key, value = (self.type(part, page) for part in self.entries[name]["field"])
            return f"map of {key} to {value}"
        if name.startswith(PACKAGE):
            shown = self.link(name.removeprefix(PACKAGE), page)
        else:
            shown = name.removeprefix(".") or field["type"].removeprefix("TYPE_").lower()
        return f"repeated {shown}" if field["label"] == "LABEL_REPEATED" else shown


def anchor(heading):
    """The fragment by which GitHub finds a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def span(low, high, unit):
    """`1 to 64 items`; either bound may be missing."""
    low, high = (None if bound is None else f"{float(bound):,.10g}" for bound in (low, high))
    words = f"{low} to {high}" if low and high else f"at most {high}" if high else f"at least {low}" if low else ""
    return [f"{words} {unit}".strip()] if words else []


def value_rules(rules):
    """The rules of a single value in words."""
    text = rules.get("string", {})
    words = span(text.get("minLen"), text.get("maxLen"), "characters" if "maxLen" in text else "character")
    words += span(None, text.get("maxBytes"), "bytes")
    words += [f"matches `{text['pattern']}`"] if "pattern" in text else []
    words += ["a UUID"] if text.get("uuid") else []
    for kind in ("int32", "float"):
        words += span(rules.get(kind, {}).get("gte"), rules.get(kind, {}).get("lte"), "")
    return words + [f"not {value}" for value in rules.get("enum", {}).get("notIn", [])]


def field_rules(field):
    """The behaviour of a field (AIP-203) and its rules in words."""
    options = field.get("options", {})
    words = [behaviour.lower().replace("_", " ") for behaviour in options.get("[google.api.field_behavior]", [])]
    rules = options.get("[buf.validate.field]", {})
    if rules.get("required") and "required" not in words:
        words.append("required")
    items, pairs = rules.get("repeated", {}), rules.get("map", {})
    words += span(items.get("minItems"), items.get("maxItems"), "items")
    words += ["no duplicates"] if items.get("unique") else []
    words += span(None, pairs.get("maxPairs"), "pairs")
    for part, of in (("each", items.get("items")), ("keys", pairs.get("keys")), ("values", pairs.get("values"))):
        words += [f"{part} {rule}" for rule in value_rules(of or {})]
    return words + value_rules(rules)


def write_message(contract, page, name, message, path):
    out = [f"## {name}", "", contract.text(page.comment(path), page.name, name), ""]
    for index, field in enumerate(message.get("field", [])):
        comment = contract.text(page.comment((*path, FIELD, index)), page.name, name)
        oneof = f"one of `{message['oneofDecl'][field['oneofIndex']]['name']}`" if "oneofIndex" in field else ""
        facts = [contract.type(field, page.name), *filter(None, [oneof]), *field_rules(field)]
        out += [f"- **`{field['name']}`**: {', '.join(facts)}", "", textwrap.indent(comment, "  "), ""]
    for index, oneof in enumerate(message.get("oneofDecl", [])):
        comment = contract.text(page.comment((*path, ONEOF, index)), page.name, name)
        out += [f"`{oneof['name']}`: {comment}", ""]
    return out


def write_enum(contract, page, name, enum, path):
    out = [f"## {name}", "", contract.text(page.comment(path), page.name, name), "", "| Value | Number | Meaning |",
           "| --- | --- | --- |"]
    for index, value in enumerate(enum["value"]):
        meaning = contract.text(page.comment((*path, MEMBER, index)), page.name, name).replace("\n", " ")
        out.append(f"| `{value['name']}` | {value.get('number', 0)} | {meaning.replace('|', chr(92) + '|')} |")
    return [*out, ""]


def general_reasons(lines):
    """The reasons that the list after "Any method can return:" names, each with the calls that can return it."""
    _, _, text = "\n".join(lines).partition("Any method can return:\n")
    calls = {}
    for item in re.sub(r"\s+", " ", text).removeprefix("- ").split(" - "):
        condition = re.match(r"For (reads|writes)( [^:]*)?:", item)
        scope = f"any {condition[1].removesuffix('s')}{condition[2] or ''}" if condition else "any method"
        calls.update({reason: scope for reason in re.findall(r"\b[A-Z]+(?:_[A-Z]+)*\b", item)})
    return calls


def write_reasons(contract, page, enum, path):
    out = ["# Errors", "", contract.text(page.comment(path), page.name, REASON), ""]
    users, general = {}, general_reasons(page.comment(path))
    for other in contract.pages:
        for method, at in other.methods():
            for reason in re.findall(r"^- ([A-Z_]+) \(", "\n".join(other.comment(at)), re.MULTILINE):
                users.setdefault(reason, []).append(method["name"])
    for index, value in enumerate(enum["value"]):
        if value["name"] not in contract.reasons:
            continue
        whole = "\n".join(page.comment((*path, MEMBER, index)))
        comment, _, metadata = re.sub(r"\nMetadata, one of: ", "\nMetadata: ", whole).partition("\nMetadata: ")
        status, _, cause = comment.partition(": ")
        cause = contract.text(cause.split("\n"), page.name, value["name"])
        examples = " or ".join(f"`{example}`" for example in re.findall(r"\{[^}]*\}", metadata.replace("\n", " ")))
        out += [f"## {value['name']}", "", f"Status `{status}`, number {value['number']}.", "",
                cause[0].upper() + cause[1:], "", f"Metadata: {examples}", ""]
        scope = general.get(value["name"])
        methods = [] if scope == "any method" else sorted(set(users.get(value["name"], [])))
        callers = ([scope] if scope else []) + [contract.link(name, page.name) for name in methods]
        if callers:
            out += ["Returned by " + ", ".join(callers) + ".", ""]
    return out


def write_service(contract, page):
    out = []
    for at, service in enumerate(page.file.get("service", [])):
        out += [f"# {service['name']}", "", contract.text(page.comment((SERVICE, at)), page.name, service["name"]), "",
                "| Method | Role | Summary |", "| --- | --- | --- |"]
        for method, path in page.methods():
            first_sentence = re.split(r"(?<=\.)\s", " ".join(page.comment(path)))[0]
            out.append(f"| {contract.link(method['name'], page.name)} | {method['options'][ROLE]} | {first_sentence} |")
        out.append("")
    for method, path in page.methods():
        rule = method["options"].get(SCOPE_RULE)
        rule = f" Scopes: [{rule}](scope.md#scoperule)." if rule else ""
        role, types = method["options"][ROLE], (method["inputType"], method["outputType"])
        request, response = (contract.link(name.removeprefix(PACKAGE), page.name) for name in types)
        request = ("stream of " if method.get("clientStreaming") else "") + request
        response = ("stream of " if method.get("serverStreaming") else "") + response
        out += [f"## {method['name']}", "",
                f"Request: {request}. Response: {response}. Required role: [{role}](role.md#role).{rule}", "",
                contract.text(page.comment(path), page.name, method["name"]), ""]
    return out


def write_page(contract, page):
    out = [GENERATED, "", "[API reference](README.md)", "", *write_service(contract, page)]
    if not page.file.get("service") and page.types[0][0] != REASON:
        out += [f"# {pathlib.PurePath(page.file['name']).stem}.proto", ""]
    for name, element, path in page.types:
        if name == REASON:
            out += write_reasons(contract, page, element, path)
        elif "value" in element:
            out += write_enum(contract, page, name, element, path)
        else:
            out += write_message(contract, page, name, element, path)
    for index, extension in enumerate(page.file.get("extension", [])):
        out += [f"## Option `{extension['name']}`", "", contract.text(page.comment((EXTENSION, index)), page.name), ""]
    return out


class Schema:
    """The JSON schema of the fields of SCHEMA_FIELDS, with the comments and the rules of the contract."""

    def __init__(self, image):
        pages = [Page(file) for file in image["file"] if file.get("package") in ("readout.v1", "google.type")]
        self.types = {f".{page.file['package']}.{name}": (page, element, path)
                      for page in pages for name, element, path in page.types}

    def message(self, name):
        page, message, path = self.types[name]
        properties, required = {}, []
        for index, field in enumerate(message["field"]):
            if field["name"] not in SCHEMA_FIELDS[name]:
                continue
            comment = " ".join(page.comment((*path, FIELD, index)))
            properties[field["name"]] = {"description": comment, **self.field(field)}
            required += [field["name"]] if SCHEMA_FIELDS[name][field["name"]] else []
        missing = SCHEMA_FIELDS[name].keys() - properties.keys()
        if missing:
            sys.exit(f"docs.py: {name} has no field {sorted(missing)[0]}")
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    def field(self, field):
        rules = field.get("options", {}).get("[buf.validate.field]", {})
        if field["label"] != "LABEL_REPEATED":
            return self.value(field, rules)
        bounds = rules.get("repeated", {})
        schema = {"type": "array", "items": self.value(field, bounds.get("items", {}))}
        schema |= {"maxItems": int(bounds["maxItems"])} if "maxItems" in bounds else {}
        return schema

    def value(self, field, rules):
        name, kind = field.get("typeName", ""), field["type"].removeprefix("TYPE_").lower()
        if kind == "message":
            return self.message(name)
        if kind == "enum":
            return {"enum": [value["name"] for value in self.types[name][1]["value"] if value.get("number", 0)]}
        if kind == "string":
            text = rules.get("string", {})
            bounds = {"minLength": "minLen", "maxLength": "maxLen"}
            return {"type": "string", **{word: int(text[rule]) for word, rule in bounds.items() if rule in text}}
        if kind == "int32":
            return {"type": "integer"}
        sys.exit(f"docs.py: the schema has no {kind}")

    def text(self):
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Story",
                  **self.message(".readout.v1.Story")}
        return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_index(contract):
    out = [GENERATED, "", "# API reference", "",
           "Package `readout.v1`. Clients find the same services by gRPC reflection.", "",
           "The methods list their specific errors; [errors](errors.md) documents every reason, and those that any",
           "method can return. [Role](role.md) documents the permission levels.", "", "## Services", "",
           "| Service | Methods |", "| --- | --- |"]
    services = [page for page in contract.pages if page.file.get("service")]
    for page in sorted(services, key=lambda page: page.name):
        methods = " ".join(contract.link(method["name"], "") for method, _ in page.methods())
        out.append(f"| {contract.link(page.file['service'][0]['name'], '')} | {methods} |")
    out += ["", "## Messages and enums", "", "| Page | Types |", "| --- | --- |"]
    for page in sorted(contract.pages, key=lambda page: page.name):
        # Requests, responses and nested types are reached from their methods and messages.
        names = [name for name, _, _ in page.types if not re.search(r"\.|Request$|Response$", name)]
        types = " ".join(contract.link(name, "") for name in names)
        if names:
            out.append(f"| [{page.name.removesuffix('.md')}]({page.name}) | {types} |")
    return out


def main():
    folder = pathlib.Path(sys.argv[1])
    image = json.load(sys.stdin)
    contract = Contract(image)
    pages = {page.name: write_page(contract, page) for page in contract.pages}
    pages["README.md"] = write_index(contract)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        old.unlink()
    for name, lines in pages.items():
        text = "\n".join(line.rstrip() for line in "\n".join(lines).split("\n"))
        (folder / name).write_text(text.strip("\n") + "\n", encoding="utf-8")
    (folder / SCHEMA).write_text(Schema(image).text(), encoding="utf-8")


if __name__ == "__main__":
    main()
