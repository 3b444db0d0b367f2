"""The words after which something identifies, in the languages of the classifier; they bring a line to its detectors.

English, German, French, Spanish, Italian, Dutch, Portuguese, Swedish, Danish, Norwegian, Finnish, Polish, Russian,
Japanese and Chinese. A phrase may have a space where a text has a space, an underscore, a hyphen or a point.
"""

# ruff: noqa: E501, S105 - lists of words
from __future__ import annotations

from typing import Final

#: Whose name follows is a patient, or a person of a hospital.
PATIENT: Final = (
    "patient name|patients name|patient|patientin|patienten|patientenname|pat name|pat|name of patient|nom du patient|"
    "nombre del paciente|paciente|paziente|nome paziente|nome do paciente|patiënt|patiëntnaam|naam patiënt|pacjent|"
    "pacjentka|potilas|potilaan nimi|pasient|пациент|пациентка|患者|患者名|患者氏名|病人|"
    "referring physician|physician name|physician|attending|operator name|operators name|radiologist|arzt|ärztin|"
    "zuweiser|überweiser|médecin|médico|medico|lekarz|läkare|next of kin|emergency contact|guardian|subject name"
)
#: Whose name follows may be anything.
NAME: Final = (
    "full name|fullname|first name|firstname|last name|lastname|surname|given name|given|family name|family|"
    "maiden name|name|vorname|nachname|familienname|geburtsname|nom|prénom|prenom|nom de famille|nombre|apellido|"
    "apellidos|nome|cognome|nome e cognome|sobrenome|apelido|naam|voornaam|achternaam|namn|förnamn|efternamn|navn|"
    "fornavn|etternavn|efternavn|nimi|etunimi|sukunimi|imię|imie|nazwisko|имя|фамилия|фио|氏名|姓名|名前|お名前"
)
TITLES: Final = (
    "mr|mrs|miss|dr|prof|herr|herrn|frau|monsieur|madame|mme|mlle|señor|señora|senor|senora|sr|sra|sig|sig ra|dott ssa|signor|"
    "signora|signor|dott|dottssa|dhr|mevr|mevrouw|meneer|pan|pani|hr|fru|senhor|senhora|rouva|herra"
)
BIRTH: Final = (
    "dob|d o b|date of birth|birth date|birthdate|birthday|patient birth date|born on|born|geb|geb dat|geboren am|"
    "geboren|geburtsdatum|geburtstag|date de naissance|né le|née le|ddn|fecha de nacimiento|fecha nacimiento|"
    "nacido el|nacida el|f nac|data di nascita|nato il|nata il|nascita|geboortedatum|geboren op|data de nascimento|nascido em|"
    "nascida em|nascimento|födelsedatum|född|fødselsdato|fødselsdag|født|syntymäaika|syntynyt|data urodzenia|"
    "urodzony|urodzona|дата рождения|生年月日|生まれ|出生|出生日期|出生年月日"
)
MRN: Final = (
    "mrn|medical record number|medical record no|medical record|med rec|patient id|patientid|patient identifier|"
    "patient number|patient no|pat id|patientennummer|patienten id|patienten nr|pat nr|fallnummer|fall nr|"
    "aufnahmenummer|numéro de patient|n patient|ipp|nip|numéro de dossier|dossier|historia clínica|n historia|nhc|"
    "número de historia|id paciente|codice paziente|id paziente|cartella clinica|numero cartella|patiëntnummer|"
    "patientnummer|patiënt id|potilasnumero|numer pacjenta|id pacjenta|número do paciente|prontuário|processo clínico|"
    "患者番号|患者id|病历号|病案号|номер карты|hospital number|chart number|case number|visit number|encounter id|"
    "encounter number|episode number|unit number|other patient ids|subject id|admission id|医療番号|カルテ番号"
)
INSURANCE: Final = (
    "insurance|insurance number|insurance id|insurance no|policy number|policy no|member id|member number|"
    "subscriber id|medicare number|medicare|medicaid|health plan|group number|versichertennummer|versicherten nr|"
    "versicherungsnummer|krankenkasse|kvnr|egk|numéro de sécurité sociale|n sécurité sociale|mutuelle|numéro d assuré|"
    "n assuré|póliza|n de póliza|número de póliza|tarjeta sanitaria|cip|polizza|tessera sanitaria|polisnummer|"
    "verzekeringsnummer|apólice|n utente|número de utente|försäkringsnummer|forsikringsnummer|numer polisy|"
    "保険証番号|保険者番号|被保険者番号|医保卡号|医保号|номер полиса|полис"
)
NATIONAL: Final = (
    "ssn|social security number|social security no|social security|nhs number|nhs no|nhs|national insurance number|national insurance|"
    "nino|steuer id|steuer identifikationsnummer|steuerid|idnr|steuernummer|nir|insee|sécu|dni|nie|nif|"
    "documento|codice fiscale|cod fisc|cf|bsn|burgerservicenummer|niss|rijksregisternummer|numéro national|"
    "registre national|personnummer|samordningsnummer|hetu|henkilötunnus|pesel|svnr|sozialversicherungsnummer|"
    "sv nr|ahv|avs|ahv nr|contribuinte|cpr|cpr nummer|cpr nr|fødselsnummer|fnr|aadhaar|aadhar|uidai|"
    "身份证|身份证号|居民身份证|cpf|マイナンバー|個人番号|my number|national id|iban|tax id|tax number|id number|"
    "ss number|numéro de sécu"
)
PHONE: Final = (
    "tel|tel nr|telephone|telephone number|phone|phone number|mobile|mobile number|cell|cell phone|fax|telefon|"
    "telefonnummer|handy|mobil|mobilnummer|rufnummer|téléphone|tél|portable|teléfono|tfno|móvil|telefono|cellulare|"
    "telefoon|mobiel|telefone|telemóvel|celular|mobiltelefon|puhelin|puh|tlf|komórka|nr telefonu|телефон|тел|"
    "電話|電話番号|携帯|电话|手机|联系电话|contact number"
)
ADDRESS: Final = (
    "address|home address|postal address|patient address|residence|street|street address|adresse|anschrift|wohnort|"
    "wohnhaft|straße|strasse|domicile|adresse postale|dirección|direccion|domicilio|indirizzo|residenza|adres|"
    "woonadres|morada|endereço|adress|hemadress|osoite|adres zamieszkania|адрес|住所|地址|住址|addr"
)
#: Ways and streets themselves, where they are words of their own; those that end a word are looked for by the detector.
STREETS: Final = (
    "street|avenue|road|lane|drive|boulevard|court|crescent|terrace|rue|chemin|allée|impasse|calle|avenida|"
    "avda|plaza|paseo|viale|piazza|corso|via|rua|travessa|ul|ulica|al|aleja|丁目|番地|大道|市|省|県|ave|blvd|platz|st|rd"
)
#: Ends of one-word street names: they bring the line as well, wherever they stand in a word.
STREET_ENDS: Final = (
    "straße|strasse|weg|allee|gasse|platz|straat|laan|plein|gracht|kade|dijk|gatan|vägen|vej|gade|veien|gata|katu|"
    "kuja|tie"
)
DEVICE: Final = (
    "serial number|serial no|serial|serialnumber|device serial number|device serial|device id|s n|sn|ser no|"
    "seriennummer|serien nr|gerätenummer|numéro de série|n de série|n série|número de serie|n serie|numero di serie|matricola|"
    "serienummer|número de série|sarjanumero|numer seryjny|серийный номер|シリアル番号|製造番号|序列号|udi|imei"
)
ACCESSION: Final = (
    "accession number|accession no|accession|acc no|acc|acc nr|accessionnumber|auftragsnummer|anforderungsnummer|"
    "numéro d accession|número de acceso|numero di accesso|numéro d examen|aanvraagnummer|placer order number|"
    "filler order number|order number|requisition number|検査番号|オーダー番号|检查号|requested procedure id"
)
DIAGNOSIS: Final = (
    "diagnosis|diagnoses|diagnosed with|impression|findings|indication|clinical history|history of|medical history|"
    "reason for study|reason for exam|icd|icd 10|icd10|snomed|diagnose|diagnosen|befund|beurteilung|anamnese|"
    "verdacht auf|v a|z n|diagnostic|antécédents|motif|diagnóstico|hallazgos|antecedentes|diagnosi|reperto|"
    "referto|anamnesi|bevindingen|voorgeschiedenis|conclusie|diagnos|fynd|funn|fund|diagnoosi|löydökset|rozpoznanie|"
    "wywiad|диагноз|診断|所見|诊断|allergies|allergy|medication|medications|prescribed"
)
#: Names of conditions and what tells of them; beginnings of words.
CONDITIONS: Final = (
    "carcinom|carcinoom|karzinom|karcinom|cancer|krebs|kanker|cáncer|cancro|tumor|tumeur|metasta|métastas|melanom|leukemi|leukäm|"
    "leucémi|lymphom|lymfom|linfom|diabet|diabèt|hiv|aids|hepatitis|hépatite|epatite|tubercul|tuberkul|covid|pneumonia|"
    "pneumonie|neumonía|polmonit|lungenentzündung|longontsteking|fracture|fraktur|fractuur|fractura|frattura|fratura|"
    "schlaganfall|stroke|infarkt|infarct|infarto|infarctus|embolism|embolie|embolia|aneurysm|anévrism|aneurisma|"
    "stenos|sténos|estenosis|thrombos|trombos|hypertens|hipertens|ipertens|asthma|asthme|copd|epilep|demen|alzheimer|"
    "parkinson|schizophren|depressi|dépressi|pregnan|schwanger|enceinte|embaraz|gravidanza|zwanger|abortion|fertility|"
    "hernia|hernie|cirrhos|zirrhose|nephr|dialysis|dialyse|chemotherap|chimiothérap|quimioterap|radiotherap|"
    "strahlentherapie|insulin|methadon|biopsy|biopsie|biopsia|lesion|läsion|lésion|nodule|knoten|cyst|zyste|"
    "高血圧|糖尿病|肺炎|癌|腫瘍|骨折|高血压|肿瘤|肺癌|рак|диабет|перелом|опухол|пневмони|nowotw|cukrzyc|złaman"
)
SECRET: Final = (
    "password|passwd|pwd|passwort|mot de passe|contraseña|wachtwoord|secret|api key|apikey|access key|auth token|"
    "access token|refresh token|token|private key|client secret|bearer|authorization|credential|akia|ghp|gho|ghs|"
    "github pat|xoxb|xoxp|sk live|glpat|eyj|wl pt|wl rt|wl at|wl rf|wl st|wl in|wl cs"
)


def words(listed: str) -> tuple[str, ...]:
    """The words and phrases of one of the lists."""
    return tuple(dict.fromkeys(word.strip() for word in listed.split("|") if word.strip()))


def tokens(listed: str) -> frozenset[str]:
    """The words of a text, by the spaces between them."""
    return frozenset(listed.split())
