"""Every sentence of the reports for people, in English; another language is a module with the same names."""

from __future__ import annotations

from typing import Final

LANGUAGE: Final = "en"
PAGE: Final = "Page {page} of {pages}"
ENTRY: Final = "entry"
ENTRIES: Final = "entries"

# The access report.
ACCESS_EYEBROW: Final = "Report for a patient"
ACCESS_TITLE: Final = "Who saw your images and health data"
ACCESS_LEAD: Final = (
    "This report lists everybody who opened, received or searched your images and the health details kept with them "
    "at {institution}, and everybody who tried and was refused. It comes from a log that the hospital cannot quietly "
    "change."
)
ACCESS_FOOT: Final = "{institution} · Access report of {created}"
ACCESS_CAPTION: Final = "{title}, newest first"

SEEN_TITLE: Final = "Who saw or received your data"
SEEN_NONE: Final = "Nobody opened or received your data in this time."
LISTED_TITLE: Final = "Lists in which you appeared"
LISTED_LEAD: Final = (
    "When staff look for a patient or a study, they see a list with a line for each. A line shows a few details such "
    "as the date and the kind of examination, no pictures."
)
LISTED_NONE: Final = "You appeared in no list in this time."
REFUSED_TITLE: Final = "Attempts that were refused"
REFUSED_LEAD: Final = "Nothing was shown or handed out."
REFUSED_NONE: Final = "There was no refused attempt that concerned your data."
OTHER_TITLE: Final = "What else happened with your data"
OTHER_LEAD: Final = (
    "Storing, protecting, checking and deleting. Most of it is done by machines and shows the data to nobody."
)
OTHER_NONE: Final = "Nothing else happened in this time."

COLUMN_WHEN: Final = "When"
COLUMN_WHO: Final = "Who, and for whom"
COLUMN_WHAT: Final = "What"
COLUMN_WHY: Final = "Why, and on which basis"
COLUMN_AMOUNT: Final = "How much"

FIGURE_OPENED: Final = "times opened or handed out"
FIGURE_PARTIES: Final = "different people, applications and devices"
FIGURE_LISTED: Final = "lists in which you appeared"
FIGURE_REFUSED: Final = "refused attempts"

UNTIL: Final = "until {time}"
FOR: Final = "for {name}"
NO_PURPOSE: Final = "Not stated"
BASIS: Final = "Basis: {basis}"
AGREEMENT: Final = "Agreement {agreement}"
APPEARED: Final = "You appeared in a list of {count}"
LIST_ALONE: Final = "You alone were in the list"
LIST_EMPTY: Final = "The search was for you and found nothing"
DATA: Final = "Data: {classes}"
OF_STUDY: Final = "Study {studies} · {entries}"
OF_STUDIES: Final = "Studies {studies} · {entries}"
REFUSED_BECAUSE: Final = "Refused: {reason}"
FAILED: Final = "It failed"
FAILED_BECAUSE: Final = "It failed: {reason}"
PARTLY: Final = "Done in part only"

MARK_APPLICATION: Final = "says {name}"
MARK_RECEIVER: Final = "reported by the gateway"
MARK_OPEN: Final = "may still be going on; may see everything"
MARK_UNKNOWN: Final = "may have seen everything"
ALL_OF_IT: Final = "perhaps all"
SO_FAR: Final = "not yet known"
ONE_LINE: Final = "1 line of {count}"
ATTEMPTS: Final = ("attempt", "attempts")
NOTHING: Final = "–"

PRUNED_TITLE: Final = "Until here pruned by rule"
PRUNED: Final = (
    "Entries written before {before} were deleted as the rule “{rule}” demands: {count}, of all patients together. "
    "What happened to your data before that day can no longer be told."
)

HOW_TITLE: Final = "How to read this"
HOW: Final = (
    "“May have seen everything” means that the end of an access was not recorded, as a computer failed. We then count "
    "it as if all of it had been seen.",
    "“Says …” and “reported by the gateway” mark what an application or the hospital's gateway told us. We know that "
    "they said so and when, and could not watch it ourselves.",
    "Opening the same study again within five minutes is one line, with the number of images.",
    "Staff are named by their role and a number: “Clinician 1” is the same person throughout this report, and another "
    "report may number them otherwise. The hospital knows who they are.",
)
HOW_NAMES: Final = "Staff are named as the hospital's list of accounts has them today."

RIGHTS_TITLE: Final = "Questions"
RIGHTS: Final = (
    "If a line surprises you, ask the privacy officer of {institution}. Each line ends with the number of its entry; "
    "with it the entry can be found. You may also complain to the data protection authority."
)

ABOUT_TITLE: Final = "About this report"
ABOUT_INSTITUTION: Final = "Hospital or practice"
ABOUT_CREATED: Final = "Made on"
ABOUT_PERIOD: Final = "Time covered"
ABOUT_PERIOD_ALL: Final = "from the beginning of the log to the last signed entry"
ABOUT_PERIOD_FROM: Final = "from {start}"
ABOUT_PERIOD_UNTIL: Final = "before {end}"
ABOUT_ZONE: Final = "Times are in"
ABOUT_PATIENT: Final = "You, in the log"
ABOUT_STUDY: Final = "Study {number}, in the log"
ABOUT_STUDIES_MORE: Final = "The other studies"
ABOUT_MORE: Final = "{count}, in the JSON form of this report"

CHECK_TITLE: Final = "How to check it"
CHECK_LEAD: Final = (
    "The log behind this report is sealed: a signed number stands for its whole content, and changes if anything in "
    "it is changed or removed. This report rests on the following signed state."
)
CHECK_NONE: Final = "The log has no signed state yet, so this report rests on nothing that could be checked."
CHECK_LOG: Final = "Name of the log"
CHECK_SIZE: Final = "Entries in it"
CHECK_ROOT: Final = "Its seal"
CHECK_DATE: Final = "Newest entry"
CHECK_STEPS: Final = (
    "Ask the hospital for the evidence to this report (a file that ends in .ndjson) and for its trust file.",
    "On any computer, run “wardlight audit verify FILE --trust TRUST”. It needs no connection to the hospital.",
    "It must say “verified” and show the same name, number of entries and seal as above. Compare the entry numbers.",
)
CHECK_QUIET: Final = (
    "Patients and studies are in the log only as the codes above, never by name or number. Entries that also speak of "
    "other patients, such as lists, are in the evidence only as a fingerprint. What happened in the last seconds "
    "before this report was made, and the report itself, come after this state."
)

# The breach report.
BREACH_EYEBROW: Final = "Incident report, confidential"
BREACH_TITLE: Final = "What the incident touched"
BREACH_LEAD: Final = (
    "For {institution}: whose data, which data and how much an incident reached, as far as the audit trail tells. "
    "Patients and studies are given as the codes of the trail."
)
BREACH_FOOT: Final = "{institution} · Incident report of {created} · confidential"

FIGURE_PATIENTS: Final = "patients affected"
FIGURE_STUDIES: Final = "studies affected"
FIGURE_ACCESSES: Final = "accesses"
FIGURE_UNKNOWN: Final = "of them with unknown extent"

SCOPE_TITLE: Final = "What was looked for"
SCOPE: Final = {
    "period": "Time",
    "actor": "Person or machine",
    "application": "Application",
    "token": "Login (token)",
    "address": "Network address",
    "studies": "Studies",
    "aware": "Became aware",
    "zone": "Times are in",
}
SCOPE_STUDIES: Final = "{count} named"

DEADLINE_TITLE: Final = "Deadlines"
DEADLINE_COLUMNS: Final = ("What", "Until", "State")
DEADLINE_AUTHORITY: Final = "Tell the data protection authority (GDPR Art. 33: within 72 hours)"
DEADLINE_PATIENTS: Final = "Tell the patients, if the risk to them is high (GDPR Art. 34)"
DEADLINE_PATIENTS_WHEN: Final = "Without undue delay"
DEADLINE_HIPAA: Final = "In the United States: tell the patients (HIPAA § 164.404: within 60 days)"
DEADLINE_HIPAA_LARGE: Final = (
    "In the United States, 500 patients or more: tell the HHS, and the media if they live in one state "
    "(HIPAA §§ 164.406, 164.408)"
)
DEADLINE_LEFT: Final = "{time} left"
DEADLINE_OVER: Final = "over since {time}; say why it is late"
DEADLINE_UNKNOWN_TITLE: Final = "No time of becoming aware was given"
DEADLINE_UNKNOWN: Final = (
    "The 72 hours of GDPR Art. 33 begin when the hospital becomes aware of the incident. Make the report again with "
    "that time, and the deadlines are worked out."
)
HOURS: Final = ("hour", "hours")
DAYS: Final = ("day", "days")

TIMELINE_TITLE: Final = "Timeline"
TIMELINE_COLUMNS: Final = ("When", "What")
TIMELINE_FIRST: Final = "First access found"
TIMELINE_LAST: Final = "Last access found"
TIMELINE_AWARE: Final = "The hospital became aware"
TIMELINE_REPORT: Final = "This report was made"
TIMELINE_DEADLINE: Final = "End of the 72 hours (GDPR Art. 33)"
TIMELINE_DAY: Final = "{accesses}, {patients}"

CLASSES_TITLE: Final = "Which data"
CLASSES_COLUMNS: Final = ("Kind of data", "Accesses", "Patients")
CLASSES_UNSTATED: Final = "not stated in the entry"
GROUPS_TITLE: Final = "Who did what"
GROUPS_COLUMNS: Final = ("Who, and for whom", "What", "First and last", "How often", "How much")
GROUPS_UNKNOWN: Final = "{count} with unknown extent"
MORE: Final = "and {count} more"
UTC_DAY: Final = "whole day, UTC"
ACCESSES: Final = ("access", "accesses")
PATIENTS: Final = ("patient", "patients")
STUDIES: Final = ("study", "studies")
ENTRY_COUNT: Final = ("entry", "entries")
GROUPS_PATIENTS: Final = "{patients}, {studies}"
REFUSED_GROUPS_TITLE: Final = "Refused attempts"
REFUSED_GROUPS_LEAD: Final = "Nothing was shown or handed out by these."

AFFECTED_TITLE: Final = "Who is affected"
AFFECTED_LEAD: Final = (
    "To learn who stands behind a code, look up your patients in the portal's audit trail, or compare with the "
    "hospital's own list there: the codes are made with a key of your hospital and cannot be turned back."
)
AFFECTED_COLUMNS: Final = ("Patient, in the log", "Studies", "Accesses", "First", "Last")
AFFECTED_MORE: Final = "The first {shown} of {count} are shown; the JSON and CSV forms have all."
AFFECTED_STUDY_ONLY: Final = "not named, only the study"

UNKNOWN_TITLE: Final = "What is not known"
UNKNOWN_SESSIONS: Final = (
    "{count} began and have no recorded end: take it that all images of their studies were seen."
)
UNKNOWN_NO_PATIENT: Final = "{count} name a study without its patient; they are in the list by the study."
UNKNOWN_NO_CLASS: Final = "{count} do not say which kind of data was touched."
UNKNOWN_CLAIMED: Final = (
    "{count} rest on the word of an application or gateway; "
    "what these did without telling us is not in the trail."
)
UNKNOWN_PRUNED: Final = "Entries from before {before} were deleted by the rule “{rule}” ({count})."
UNKNOWN_COPIES: Final = (
    "What was done with data after it was handed out is not in the trail: ask those who received it."
)
UNKNOWN_OUTSIDE: Final = (
    "Only what went through this platform is in the trail. Copies on other systems of the hospital, and access to "
    "disks or backups past the platform, are not; without its keys such copies cannot be read."
)

NOTIFY_TITLE: Final = "Text for notifying"
NOTIFY_LEAD: Final = (
    "Fill in what stands in brackets. Let your data protection officer read it before it is sent."
)
NOTIFY_AUTHORITY_TITLE: Final = "To the authority (GDPR Art. 33(3))"
NOTIFY_AUTHORITY: Final = (
    "Nature of the breach: between {first} and {last}, {nature}. [How it came to that.] It was found on {aware}.",
    "Categories and number of people: patients of {institution}, {patients}.",
    "Categories and number of records: {classes}; {studies}, {accesses}.",
    "Contact: [name, address, telephone of the data protection officer].",
    "Likely consequences: [such as loss of confidentiality of health data; names were / were not among the data].",
    "Measures taken and proposed: [such as: the access was ended on …; tokens were revoked; the recipient confirmed "
    "deletion].",
    "What is not known yet: {unknown} Further information follows.",
)
NOTIFY_NATURE: Final = "data was accessed by {who}"
NOTIFY_NATURE_MANY: Final = "data was accessed by {count} persons or systems"
NOTIFY_NATURE_NONE: Final = "no access to data was found in the audit trail"
NOTIFY_NOTHING_UNKNOWN: Final = "nothing that the audit trail would show."
NOTIFY_AWARE_UNKNOWN: Final = "[date and hour]"
NOTIFY_PATIENT_TITLE: Final = "To each patient (GDPR Art. 34, HIPAA § 164.404)"
NOTIFY_PATIENT: Final = (
    "Between {first} and {last}, somebody reached data about you at {institution} who should not have: {classes}. "
    "[What happened, in a sentence.] We found this on {aware}. [What we did about it.] [What you can do.] You can get "
    "a report of everybody who saw your data. For questions, and for this report, write or call: [name, address, "
    "telephone of the data protection officer]."
)
