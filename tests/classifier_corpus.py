"""Labelled documents for the classifier: made from a seed, in twelve languages, with near-misses among them.

A label is (line, detector): on that line stands something that this detector should find. Documents of the kind `clean`
have none at all: what machines write, full of what looks like an identifier.
"""

# ruff: noqa: E501
from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import classifier_numbers as numbers

SEED = 20260
EACH = 24


@dataclass
class Document:
    """name: with the ending that a file would have. language: ISO 639-1, "" for what machines write."""

    name: str
    language: str
    kind: str
    text: str
    labels: set[tuple[int, str]] = field(default_factory=set)


@dataclass(frozen=True)
class Language:
    """Words and people of one language. words: of labels, in the order of `LABELS`."""

    code: str
    given: tuple[str, ...]
    family: tuple[str, ...]
    labels: tuple[str, ...]
    title: str
    date: str
    streets: tuple[str, ...]
    phone: str
    national: tuple[str, ...]
    finding: tuple[str, ...]
    nothing: tuple[str, ...]


#: patient, birth, record, phone, address, insurance, diagnosis, device, accession
LANGUAGES = (
    Language(
        "en", ("Oliver", "Amelia", "Theodore", "Beatrix", "Declan", "Imogen"),
        ("Hargreaves", "Whitcombe", "Okafor", "Pemberton", "Ashdown"),
        ("Patient name", "Date of birth", "MRN", "Phone", "Address", "Insurance number", "Diagnosis", "Serial number",
         "Accession number"),
        "Mrs. {}", "{y}-{m:02d}-{d:02d}", ("14 Primrose Lane", "221 Harley Street", "7 Old Mill Road"),
        "+44 20 7946 {}", ("uk-nhs", "uk-nino", "us-ssn", "in-aadhaar"),
        ("small cell carcinoma of the right lung", "type 2 diabetes with nephropathy", "fracture of the left femur"),
        ("The examination was performed with the usual protocol.", "Comparison is made with the previous study.",
         "Contrast agent was given without complications.", "The table position was adjusted twice."),
    ),
    Language(
        "de", ("Leopold", "Annegret", "Friedrich", "Gisela", "Torsten", "Wiebke"),
        ("Schönfelder", "Brückner", "Obermaier", "Kaltenbach", "Wöhrle"),
        ("Patient", "Geburtsdatum", "Patientennummer", "Telefon", "Anschrift", "Versicherungsnummer", "Diagnose",
         "Seriennummer", "Auftragsnummer"),
        "Frau {}", "{d:02d}.{m:02d}.{y}", ("Lindenstraße 12", "Am Markt 3, 80331 München", "Goetheplatz 5a"),
        "+49 89 5160{}", ("de-steuer-id", "de-kvnr", "at-svnr", "ch-ahv", "iban"),
        ("Bronchialkarzinom rechts", "Diabetes mellitus Typ 2", "Fraktur des Schenkelhalses"),
        ("Die Untersuchung erfolgte in üblicher Technik.", "Zum Vergleich liegt die Voruntersuchung vor.",
         "Keine Komplikationen bei der Kontrastmittelgabe.", "Der Tisch wurde zweimal verschoben."),
    ),
    Language(
        "fr", ("Aurélie", "Thibault", "Mathilde", "Gaspard", "Solène", "Étienne"),
        ("Lefebvre", "Dumoulin", "Beaumont", "Chevallier", "Roussel"),
        ("Nom du patient", "Date de naissance", "Numéro de dossier", "Téléphone", "Adresse", "Mutuelle", "Diagnostic",
         "Numéro de série", "Numéro d'examen"),
        "Mme {}", "{d:02d}/{m:02d}/{y}", ("12 rue des Lilas", "5 avenue de la République", "38 boulevard Voltaire"),
        "+33 1 42 68 53 {}", ("fr-nir", "be-niss"),
        ("carcinome bronchique droit", "diabète de type 2", "fracture du col du fémur"),
        ("L'examen a été réalisé selon le protocole habituel.", "Comparaison avec l'examen précédent.",
         "Injection de produit de contraste sans incident.", "La table a été déplacée deux fois."),
    ),
    Language(
        "es", ("Rodrigo", "Ximena", "Álvaro", "Leonor", "Gonzalo", "Inmaculada"),
        ("Villanueva", "Escobar", "Montoya", "Carrasco", "Benítez"),
        ("Nombre del paciente", "Fecha de nacimiento", "Historia clínica", "Teléfono", "Domicilio", "Póliza",
         "Diagnóstico", "Número de serie", "Número de acceso"),
        "Sra. {}", "{d:02d}/{m:02d}/{y}", ("Calle Mayor 14", "Avenida de la Constitución 22", "Plaza del Carmen 3"),
        "+34 91 555 34 {}", ("es-dni", "es-nie"),
        ("carcinoma de pulmón derecho", "diabetes tipo 2", "fractura de cadera"),
        ("El estudio se realizó con el protocolo habitual.", "Se compara con el estudio previo.",
         "Contraste administrado sin incidencias.", "La mesa se ajustó dos veces."),
    ),
    Language(
        "it", ("Fiorenza", "Ludovico", "Ginevra", "Tommaso", "Ornella", "Raffaele"),
        ("Castellani", "Bertolini", "Santoro", "Ferrarese", "Marchetti"),
        ("Paziente", "Data di nascita", "Cartella clinica", "Telefono", "Indirizzo", "Tessera sanitaria", "Diagnosi",
         "Matricola", "Numero di accesso"),
        "Sig.ra {}", "{d:02d}/{m:02d}/{y}", ("Via Garibaldi 8", "Piazza San Marco 15", "Viale dei Mille 102"),
        "+39 06 4985 12{}", ("it-codice-fiscale",),
        ("carcinoma polmonare destro", "diabete mellito di tipo 2", "frattura del femore"),
        ("Esame eseguito con tecnica abituale.", "Confronto con l'esame precedente.",
         "Mezzo di contrasto somministrato senza complicanze.", "Il tavolo è stato spostato due volte."),
    ),
    Language(
        "nl", ("Maartje", "Joost", "Femke", "Thijs", "Annelies", "Sjoerd"),
        ("Vermeulen", "Hoekstra", "Brouwer", "Kuipers", "Postma"),
        ("Naam patiënt", "Geboortedatum", "Patiëntnummer", "Telefoon", "Adres", "Polisnummer", "Diagnose",
         "Serienummer", "Aanvraagnummer"),
        "Mevr. {}", "{d:02d}-{m:02d}-{y}", ("Keizersgracht 121", "Dorpsstraat 7", "Beatrixlaan 44"),
        "+31 20 566 12{}", ("nl-bsn", "be-niss"),
        ("longcarcinoom rechts", "diabetes mellitus type 2", "fractuur van de heup"),
        ("Het onderzoek is volgens protocol verricht.", "Vergelijking met het vorige onderzoek.",
         "Contrast zonder bijwerkingen toegediend.", "De tafel is tweemaal verplaatst."),
    ),
    Language(
        "pt", ("Leonardo", "Mafalda", "Afonso", "Benedita", "Duarte", "Matilde"),
        ("Figueiredo", "Cavalcanti", "Magalhães", "Teixeira", "Nogueira"),
        ("Nome do paciente", "Data de nascimento", "Número do paciente", "Telefone", "Morada", "Apólice",
         "Diagnóstico", "Número de série", "Número de série do pedido"),
        "Sra. {}", "{d:02d}/{m:02d}/{y}", ("Rua das Flores 31", "Avenida da Liberdade 110", "Travessa do Carmo 9"),
        "+351 21 780 51{}", ("pt-nif", "br-cpf"),
        ("carcinoma do pulmão direito", "diabetes tipo 2", "fratura do fémur"),
        ("O exame foi realizado com o protocolo habitual.", "Comparação com o exame anterior.",
         "Contraste administrado sem intercorrências.", "A mesa foi ajustada duas vezes."),
    ),
    Language(
        "sv", ("Annika", "Torbjörn", "Saga", "Gustav", "Ebba", "Viggo"),
        ("Lindqvist", "Bergström", "Åkesson", "Sandberg", "Hjalmarsson"),
        ("Patient", "Födelsedatum", "Patientnummer", "Telefon", "Adress", "Försäkringsnummer", "Diagnos",
         "Serienummer", "Order number"),
        "Fru {}", "{y}-{m:02d}-{d:02d}", ("Storgatan 14", "Kungsgatan 3", "Skolvägen 27"),
        "+46 8 517 70{}", ("se-personnummer", "dk-cpr", "no-fnr"),
        ("lungcancer höger", "diabetes typ 2", "fraktur på lårbenshalsen"),
        ("Undersökningen utfördes enligt protokoll.", "Jämförelse med föregående undersökning.",
         "Kontrast gavs utan komplikationer.", "Bordet flyttades två gånger."),
    ),
    Language(
        "fi", ("Aleksi", "Tuulikki", "Onni", "Kaisa", "Veikko", "Saara"),
        ("Virtanen", "Koskinen", "Lehtonen", "Mäkelä", "Hakala"),
        ("Potilas", "Syntymäaika", "Potilasnumero", "Puhelin", "Osoite", "Insurance no", "Diagnoosi", "Sarjanumero",
         "Accession no"),
        "Rouva {}", "{d}.{m}.{y}", ("Mannerheimintie 12", "Koulukatu 5", "Metsäkuja 9"),
        "+358 9 4711{}", ("fi-hetu",),
        ("keuhkokarsinooma, carcinoma pulmonis", "diabetes tyyppi 2", "reisiluun murtuma, fractura colli femoris"),
        ("Tutkimus tehtiin tavanomaisella tekniikalla.", "Verrataan edelliseen tutkimukseen.",
         "Varjoaine annettiin ilman haittoja.", "Pöytää siirrettiin kahdesti."),
    ),
    Language(
        "pl", ("Bogusława", "Zbigniew", "Jadwiga", "Mirosław", "Halina", "Wiesław"),
        ("Kowalczyk", "Wiśniewska", "Dąbrowski", "Zielińska", "Wojciechowski"),
        ("Pacjent", "Data urodzenia", "Numer pacjenta", "Telefon", "Adres", "Numer polisy", "Rozpoznanie",
         "Numer seryjny", "Accession no"),
        "Pani {}", "{d:02d}.{m:02d}.{y}", ("ul. Piotrkowska 77", "ul. Długa 14", "al. Jerozolimskie 120"),
        "+48 22 599 10{}", ("pl-pesel",),
        ("nowotwór płuca prawego", "cukrzyca typu 2", "złamanie kości udowej"),
        ("Badanie wykonano standardową techniką.", "Porównano z badaniem poprzednim.",
         "Kontrast podano bez powikłań.", "Stół przesunięto dwukrotnie."),
    ),
    Language(
        "ja", ("太郎", "花子", "健一", "美咲", "大輔", "由美"),
        ("佐藤", "高橋", "渡辺", "伊藤", "小林"),
        ("氏名", "生年月日", "患者番号", "電話番号", "住所", "保険証番号", "診断", "製造番号", "検査番号"),
        "", "{y}年{m}月{d}日", ("東京都千代田区丸の内1丁目", "大阪府大阪市北区梅田3丁目", "愛知県名古屋市中区栄2丁目"),
        "+81 3 3581 42{}", ("jp-my-number",),
        ("右肺癌の疑い", "糖尿病", "大腿骨骨折"),
        ("通常のプロトコルで撮影した。", "前回の検査と比較した。", "造影剤の副作用はなかった。", "寝台を二回移動した。"),
    ),
    Language(
        "zh", ("伟", "秀英", "建国", "丽华", "志强", "晓明"),
        ("王", "李", "张", "刘", "陈"),
        ("姓名", "出生日期", "病历号", "联系电话", "地址", "医保卡号", "诊断", "序列号", "检查号"),
        "", "{y}年{m}月{d}日", ("北京市朝阳区建国路88号", "上海市浦东新区世纪大道100号", "广东省深圳市南山区科技路9号"),
        "+86 10 8529 60{}", ("cn-resident-id",),
        ("右肺癌", "糖尿病", "股骨骨折"),
        ("按常规方案进行检查。", "与前次检查比较。", "造影剂无不良反应。", "检查床移动两次。"),
    ),
)  # fmt: skip
LABELS = (
    "name",
    "birth-date",
    "mrn",
    "phone",
    "address",
    "insurance-number",
    "health",
    "device-serial",
    "accession",
)


class Person:
    """Somebody, made up."""

    def __init__(self, r: Random, language: Language) -> None:
        given, family = r.choice(language.given), r.choice(language.family)
        self.name = f"{family}{given}" if language.code in ("ja", "zh") else f"{given} {family}"
        self.family, self.given = family, given
        year, month, day = numbers.day(r)
        self.birth = language.date.format(y=year, m=month, d=day)
        self.iso = f"{year}-{month:02d}-{day:02d}"
        self.values = {
            "name": self.name,
            "birth-date": self.birth,
            "mrn": f"{r.choice(('', 'M', 'P-', 'KH'))}{numbers.digits(r, r.randint(6, 9))}",
            "phone": language.phone.format(numbers.digits(r, 2)),
            "address": r.choice(language.streets),
            "insurance-number": f"{r.choice('KQXYZ')}{r.choice('BCD')}{numbers.digits(r, 8)}",
            "health": r.choice(language.finding),
            "device-serial": f"{r.choice(('SN', 'HX', ''))}{numbers.digits(r, 7)}",
            "accession": f"A{r.randint(2019, 2026)}{numbers.digits(r, 6)}",
        }
        self.email = f"{r.choice(('j', 'm', 'contact.'))}{numbers.digits(r, 3)}@{r.choice(('posteo.example', 'mail.example.org', 'klinik.example.net'))}"
        self.national = r.choice(language.national)
        self.number = numbers.NATIONAL[self.national][0](r)


class Lines:
    """Lines with their labels."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.labels: set[tuple[int, str]] = set()

    def add(self, text: str, *found: str) -> None:
        self.lines.append(text)
        self.labels |= {(len(self.lines), one) for one in found}

    def document(self, name: str, language: str, kind: str) -> Document:
        return Document(name, language, kind, "\n".join(self.lines) + "\n", self.labels)


def form(r: Random, language: Language, number: int) -> Document:
    """Labels and values, as an admission form prints them."""
    person, out = Person(r, language), Lines()
    between = r.choice((": ", " : ", ": "))
    for label, name in zip(language.labels, LABELS, strict=True):
        if name == "accession" and language.code == "pt":
            continue
        out.add(f"{label}{between}{person.values[name]}", name)
        if r.random() < 0.3:
            out.add(r.choice(language.nothing))
    for national in language.national:
        make, word = numbers.NATIONAL[national]
        out.add(f"{word}: {make(r)}", national)
    out.add(f"E-Mail: {person.email}", "email")
    return out.document(f"form-{language.code}-{number}.txt", language.code, "form")


def letter(r: Random, language: Language, number: int) -> Document:
    """Prose of a referral, a sentence on each line."""
    person, out = Person(r, language), Lines()
    for sentence in r.sample(language.nothing, 2):
        out.add(sentence)
    if language.title:
        out.add(f"{language.title.format(person.family)} – {r.choice(language.nothing).lower()}", "name")
    out.add(
        f"{language.labels[1]} {person.birth}; {numbers.NATIONAL[person.national][1]} {person.number}",
        "birth-date",
        person.national,
    )
    out.add(f"{language.labels[6]}: {person.values['health']}.", "health")
    out.add(r.choice(language.nothing))
    out.add(
        f"{person.values['address']} / {person.values['phone']} / {person.email}", "address", "phone", "email"
    )
    return out.document(f"letter-{language.code}-{number}.txt", language.code, "letter")


def log(r: Random, language: Language, number: int) -> Document:
    """A log of an application that says too much."""
    person, out = Person(r, language), Lines()
    for _ in range(12):
        out.add(f"{_stamp(r)} INFO worker[{r.randint(100, 99999)}] {_message(r)}")
    out.add(
        f"{_stamp(r)} WARN match failed patient={person.family}^{person.given} mrn={person.values['mrn']}",
        "name",
        "mrn",
    )
    out.add(f"{_stamp(r)} INFO mail sent to {person.email}", "email")
    address = f"{r.choice((81, 93, 151, 185))}.{r.randint(1, 250)}.{r.randint(1, 250)}.{r.randint(1, 250)}"
    out.add(f"{_stamp(r)} INFO login from {address} succeeded", "ip-address")
    for national in language.national:
        make, word = numbers.NATIONAL[national]
        out.add(f"{_stamp(r)} DEBUG lookup {word} {make(r)} -> 1 row", national)
        out.add(f"{_stamp(r)} DEBUG rejected {word} {numbers.wrong(r, national)}")
    uid = f"1.2.826.0.1.3680043.{r.randint(2, 9)}.{r.randint(100, 9999)}.{numbers.digits(r, 14).lstrip('0')}.{r.randint(1, 99)}"
    out.add(f"{_stamp(r)} INFO stored study {uid}", "uid")
    out.add(
        f"{_stamp(r)} INFO device {':'.join(f'{r.randint(16, 255):02x}' for _ in range(6))} paired",
        "mac-address",
    )
    return out.document(f"log-{language.code}-{number}.log", language.code, "log")


def table(r: Random, language: Language, number: int) -> Document:
    """A table with its columns in English, as systems export it, and people of the language."""
    out = io.StringIO()
    rows = csv.writer(out, delimiter=r.choice(",;"), lineterminator="\n")
    rows.writerow(("patient_name", "dob", "mrn", "exams", "rvu", "email", "site"))
    labels = set()
    for line in range(2, 8):
        person = Person(r, language)
        name = f"{person.family}^{person.given}" if r.random() < 0.5 else person.name
        rows.writerow(
            (
                name,
                person.iso,
                person.values["mrn"],
                r.randint(1, 99),
                f"{r.random() * 9:.3f}",
                person.email,
                f"S{r.randint(1, 9)}",
            )
        )
        labels |= {(line, one) for one in ("name", "birth-date", "mrn", "email")}
    return Document(f"table-{language.code}-{number}.csv", language.code, "table", out.getvalue(), labels)


def record(r: Random, language: Language, number: int) -> Document:
    """A FHIR patient, one member on each line."""
    person = Person(r, language)
    lines = [
        "{",
        '"resourceType": "Patient", "active": true,',
        f'"identifier": [{{"system": "urn:oid:2.16.840.1.113883.3.42", "value": {json.dumps(person.values["mrn"])}}}],',
        f'"name": [{{"use": "official", "family": {json.dumps(person.family)}, "given": [{json.dumps(person.given)}]}}],',
        f'"telecom": [{{"system": "email", "value": {json.dumps(person.email)}}}],',
        f'"gender": "other", "birthDate": "{person.iso}",',
        f'"meta": {{"versionId": "{r.randint(1, 9)}", "lastUpdated": "2026-03-0{r.randint(1, 9)}T10:15:30Z"}}',
        "}",
    ]
    labels = {(3, "mrn"), (4, "name"), (5, "email"), (6, "birth-date")}
    return Document(
        f"fhir-{language.code}-{number}.json", language.code, "fhir", "\n".join(lines) + "\n", labels
    )


def events(r: Random, language: Language, number: int) -> Document:
    """NDJSON of a service, some of whose events say too much."""
    out = Lines()
    for _ in range(8):
        person = Person(r, language)
        event = {
            "time": _stamp(r),
            "level": "info",
            "traceId": f"{r.getrandbits(128):032x}",
            "size": r.randint(10**6, 10**9),
        }
        if r.random() < 0.5:
            event |= {"msg": _message(r), "durationMs": r.randint(1, 10**5)}
            out.add(json.dumps(event))
            continue
        event |= {
            "patientName": person.name,
            "phoneNumber": person.values["phone"],
            "subject": {"birthDate": person.iso},
        }
        out.add(json.dumps(event, ensure_ascii=r.random() < 0.5), "name", "phone", "birth-date")
    return out.document(f"events-{language.code}-{number}.ndjson", language.code, "events")


def hl7(r: Random, language: Language, number: int) -> Document:
    """An admission message."""
    person, out = Person(r, language), Lines()
    out.add(
        f"MSH|^~\\&|HIS|WARD|RIS|RAD|20260301101530||ADT^A01|{r.randint(1, 10**6)}|P|2.5.1|||||||UNICODE UTF-8"
    )
    out.add(f"EVN|A01|2026030110{r.randint(10, 59)}")
    out.add(f"PID|1||{person.values['mrn']}^^^WARD^MR||{person.family}^{person.given}||{person.iso.replace('-', '')}|U|||{person.values['address']}^^X||{person.values['phone']}",
            "mrn", "name", "birth-date", "address", "phone")  # fmt: skip
    out.add(f"DG1|1||C34.1^{person.values['health']}^I10|||A", "health")
    return out.document(f"hl7-{language.code}-{number}.hl7", language.code, "hl7")


#: Prose as people write it, with no label before most values: (language, text, what is in it).
PROSE = (
    ("en", "I saw {title} in clinic today, born on {long}.", "name birth-date"),
    ("en", "Please fax the result to {phone} or write to {email}.", "phone email"),
    ("en", "The number {number} was read back to the caller.", "national"),
    ("en", "Known case of {health}, now worse.", "health"),
    ("en", "Reviewed with Dr. {family} before discharge.", "name"),
    ("en", "Lives at {address} with a sister.", "address"),
    ("en", "patient {name} moved to bed 12", "name"),
    ("de", "{title} wurde am {birth} geboren und wohnt {address}.", "name address"),
    ("de", "Rückruf bitte unter {phone}.", "phone"),
    ("de", "Bei Herrn {family} besteht {health}.", "name health"),
    ("de", "Nummer {number} wurde bestätigt", "national"),
    ("fr", "{title}, née le {birth}, demeurant {address}.", "name birth-date address"),
    ("fr", "Antécédents : {health}", "health"),
    ("fr", "Le numéro {number} a été vérifié", "national"),
    ("es", "{title}, nacida el {birth}, vive en {address}.", "name birth-date address"),
    ("es", "Antecedentes de {health}.", "health"),
    ("es", "se verificó {number} sin errores", "national"),
    ("it", "{title}, nata il {birth}, residente in {address}", "name birth-date address"),
    ("it", "Anamnesi: {health}.", "health"),
    ("it", "verificato {number} senza errori", "national"),
    ("nl", "{title}, geboren op {birth}, woont {address}.", "name birth-date address"),
    ("nl", "nummer {number} gecontroleerd", "national"),
    ("sv", "{title} är född {birth} och bor på {address}.", "name birth-date address"),
    ("sv", "nummer {number} kontrollerat", "national"),
    ("pl", "{title}, urodzona {birth}, zamieszkała {address}.", "name birth-date address"),
    ("pl", "numer {number} sprawdzony", "national"),
    ("ja", "患者{name}さんは{birth}生まれ。", "name birth-date"),
    ("zh", "患者{name}，{birth}出生，住{address}。", "name birth-date address"),
)


def prose(r: Random, language: Language, number: int) -> Document:
    """Sentences, each with values in it."""
    out = Lines()
    for code, text, found in PROSE:
        if code != language.code:
            continue
        person = Person(r, language)
        year, month, date = (int(part) for part in person.iso.split("-"))
        months = (
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        )
        filled = text.format(
            title=language.title.format(person.family),
            name=person.name,
            family=person.family,
            birth=person.birth,
            long=f"{date} {months[month - 1]} {year}",
            number=person.number,
            email=person.email,
            **{name: person.values[name] for name in ("phone", "address", "health")},
        )
        out.add(filled, *(person.national if one == "national" else one for one in found.split()))
        out.add(r.choice(language.nothing))
    return out.document(f"prose-{language.code}-{number}.txt", language.code, "prose")


def _stamp(r: Random) -> str:
    return f"2026-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}T{r.randint(0, 23):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}.{r.randint(0, 999):03d}Z"


def _message(r: Random) -> str:
    """What machines say, with numbers that are nobody's."""
    return r.choice(
        (
            f"sealed segment {r.getrandbits(256):064x} of {r.randint(10**6, 10**10)} bytes",
            f"request {uuid.UUID(int=r.getrandbits(128), version=4)} took {r.randint(1, 9000)} ms",
            f"upgraded library from {r.randint(0, 9)}.{r.randint(0, 30)}.{r.randint(0, 9)}.{r.randint(0, 9)} to version 3.14.15.9",
            f"transfer syntax 1.2.840.10008.1.2.4.{r.choice((50, 70, 90, 91))} negotiated",
            f"snmp walk 1.3.6.1.2.1.25.4.2.1.{r.randint(1, 9)} ok",
            f"offset {r.randint(10**9, 2 * 10**9)} epoch {r.randint(1_700_000_000, 1_790_000_000)} ms {r.randint(1_700_000_000_000, 1_790_000_000_000)}",
            f"commit {r.getrandbits(160):040x} built in {r.random() * 100:.6f} s",
            f"queue depth {r.randint(1, 500)}, {r.randint(1, 500)} free, load {r.random():.2f} {r.random():.2f} {r.random():.2f}",
            f"thread pool name=worker-{r.randint(1, 64)} state=RUNNABLE",
            f"checksum mismatch at block {r.randint(1, 10**8):08d} of volume {r.randint(1, 99)}",
            "listening on 127.0.0.1:8080 and [::1]:8080",
            f"date range 2025-01-0{r.randint(1, 9)}..2026-01-0{r.randint(1, 9)} scheduled",
        )
    )


def clean(r: Random, number: int) -> Document:
    """Nothing of anybody, but near-misses."""
    out, kind = Lines(), number % 4
    for _ in range(10):
        if kind == 0:
            out.add(f"{_stamp(r)} INFO {_message(r)}")
        elif kind == 1:
            name = r.choice(list(numbers.NATIONAL))
            out.add(f"{_stamp(r)} ERROR rejected value {numbers.wrong(r, name)}: check failed")
        elif kind == 2:
            out.add(
                r.choice(
                    (
                        f'version = "{r.randint(1, 9)}.{r.randint(0, 20)}.{r.randint(0, 9)}.{r.randint(0, 9)}"',
                        f"sha256:{r.getrandbits(256):064x}",
                        f"image: registry.example/app@sha256:{r.getrandbits(256):064x}",
                        f"timeout: {r.randint(1, 10**6)}  # milliseconds",
                        f"released on 2026-0{r.randint(1, 9)}-1{r.randint(0, 9)}, build {r.randint(10**6, 10**8)}",
                        "name: worker-pool",
                        "hostname: node-17",
                        "file name: patient-export.schema.json",
                        "logo@2x.png and icon@3x.png are generated",
                        "from dataclasses import field",
                        f"coordinates: {r.uniform(-180, 180):.6f}, {r.uniform(-90, 90):.6f}",
                        f"isbn 978-3-16-{r.randint(100000, 999999)}-0",
                        f"part no. {r.randint(1000, 9999)}-{r.randint(100, 999)}",
                        "password: ${DB_PASSWORD}",
                        "address = 0x7fffc0de",
                        "phone: null",
                        "mrn: required",
                        "patient id must not be empty",
                        "date of birth is missing",
                        "Dr. is a title",
                    )
                )
            )
        else:
            out.add(
                r.choice(
                    (
                        f"{r.randint(10**8, 10**9)},{r.randint(10**9, 2 * 10**9)},{r.random():.12f}",
                        f"{r.randint(100, 999)} {r.randint(100, 999)} {r.randint(10, 99)} rows",
                        f"uid-root 1.2.840.10008.5.1.4.1.1.{r.randint(1, 9)} class only",
                        f"oid 2.16.840.1.113883.6.{r.randint(1, 99)} (code system)",
                        f"window {r.randint(-1000, 1000)}/{r.randint(1, 4000)} kVp {r.randint(80, 140)} mAs {r.randint(10, 400)}",
                        f"{r.randint(0, 255):02x}:{r.randint(0, 255):02x} cpu {r.randint(0, 64)}",
                        f"throughput {r.randint(10, 900)}.{r.randint(0, 9)} MB/s in {r.randint(1, 60)} min",
                        "The patient was not found; try another identifier.",
                        "Patient Registration module started",
                        "Study Description is optional",
                        f"ticket #{r.randint(1000, 99999)} closed by automation",
                    )
                )
            )
    return out.document(f"clean-{number}.{('log', 'log', 'conf', 'txt')[kind]}", "", "clean")


def documents(seed: int = SEED) -> Iterator[Document]:
    """All of them, the same for the same seed."""
    r = Random(seed)
    makers = (form, letter, log, table, record, events, hl7)
    for number in range(3):
        for language in LANGUAGES:
            for make in makers:
                yield make(r, language, number)
            if language.code in {code for code, _, _ in PROSE}:
                yield prose(r, language, number)
    for number in range(80):
        yield clean(r, number)
