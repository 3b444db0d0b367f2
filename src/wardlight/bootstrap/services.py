"""The services of the platform."""

from __future__ import annotations

from dataclasses import dataclass

from wardlight.api.parts import ApiParts
from wardlight.archive.deletion import Deletion
from wardlight.archive.deletion_work import DeletionWork, Places
from wardlight.archive.drawing import Drawing
from wardlight.archive.links import Links
from wardlight.archive.receipts import Receipts
from wardlight.archive.viewing import ViewerLinks
from wardlight.bootstrap.adapters import text_reader
from wardlight.bootstrap.identity import IdentityServices
from wardlight.datamap.service import DataMaps
from wardlight.delivery.feed import Feed
from wardlight.delivery.secrets import Secrets as WebhookSecrets
from wardlight.delivery.webhooks import Webhooks
from wardlight.identity.clients import Clients
from wardlight.identity.issuing import AccessTokens
from wardlight.identity.platform_keys import PlatformKeys
from wardlight.ingest.copying import Copier
from wardlight.ingest.handing import Handing
from wardlight.ingest.measurements import Measurements
from wardlight.ingest.quarantine import Quarantine
from wardlight.ingest.quarantine_work import QuarantineWork
from wardlight.ingest.recipients import Recipients
from wardlight.ingest.sharing import Sharing
from wardlight.ingest.upload_work import UploadWork
from wardlight.ingest.uploads import Limits, Uploads
from wardlight.machinedata.service import MachineData
from wardlight.machinedata.subscriptions import Subscriptions
from wardlight.machinedata.work import MachineWork
from wardlight.notifications.definitions import Definitions
from wardlight.notifications.mailing import Mailer
from wardlight.notifications.produce import Producer
from wardlight.notifications.service import Notifications
from wardlight.smtp import Post
from wardlight.trail.anchor_mail import mail_note
from wardlight.trail.anchor_syslog import deliver_syslog
from wardlight.trail.anchors import Anchors, append_file, post_https
from wardlight.trail.application_entries import ApplicationEntries
from wardlight.trail.parts import Parts
from wardlight.trail.witnesses import Witnesses


@dataclass(frozen=True, slots=True)
class Platform(IdentityServices):
    """The services of the platform, as every process but the receiver uses them."""

    @property
    def parts(self) -> Parts:
        """What the audit trail's readers use."""
        host = self.settings.base_url.split("://", 1)[-1]
        return Parts(
            self.database,
            self.keystore,
            self.recorder,
            self.sessions,
            self.identity,
            self.audit_log,
            host,
        )

    @property
    def deletion(self) -> Deletion:
        """Begins deletions and tells of them."""
        return Deletion(self.database, self.keystore, self.recorder, self.grants)

    @property
    def deletion_work(self) -> DeletionWork:
        """Carries deletions on."""
        places = Places(self.database, self.keystore, self.objects, self.recorder)
        return DeletionWork(places, self.epochs, self.tombstones)

    @property
    def receipts(self) -> Receipts:
        """Issues receipts of deletions."""
        return Receipts(self.database, self.recorder, self.signer, self.audit_log)

    @property
    def feed(self) -> Feed:
        """Events as applications read them."""
        return Feed(self.database, self.recorder, self.sessions, self.settings.event_days)

    @property
    def webhooks(self) -> Webhooks:
        """Where applications want events sent to."""
        secrets = WebhookSecrets(self.keystore)
        return Webhooks(self.database, self.recorder, self.rates, secrets, self.egress)

    @property
    def post(self) -> Post | None:
        """The way to the mail server, if the settings name one."""
        server = self.settings.mail_server
        return Post(server, self.egress) if server else None

    @property
    def digest_hour(self) -> int | None:
        """When daily digests are sent, in UTC; None where no mail is."""
        return self.settings.mail.digest_hour if self.settings.mail_server else None

    @property
    def notifications(self) -> Notifications:
        """What people are told."""
        return Notifications(self.database, self.recorder, self.rates, self.post, self.settings.base_url)

    @property
    def definitions(self) -> Definitions:
        """What applications tell people."""
        return Definitions(self.database, self.recorder, self.rates, self.digest_hour)

    @property
    def producer(self) -> Producer:
        """Makes notifications of what happened."""
        return Producer(self.database, self.digest_hour)

    def send_mail(self) -> int:
        """Mail what is due; returns how many mails."""
        if self.post is None:
            return 0
        days = self.settings.mail.days
        return Mailer(self.database, self.recorder, self.post, self.settings.base_url, days).tend()

    @property
    def sharing(self) -> Sharing:
        """Takes wishes to share a study, and carries them out."""
        return Sharing(
            self.database,
            self.recorder,
            self.archive,
            Copier(self.archive, self.keystore, lambda institution: text_reader(self.settings, institution)),
            self.access,
            self.agreements,
            self.entitlements,
            self.grants,
        )

    @property
    def handing(self) -> Handing:
        """Hands results over to other applications."""
        copier = Copier(self.archive, self.keystore)
        return Handing(self.archive, copier, lambda institution: text_reader(self.settings, institution))

    @property
    def uploads(self) -> Uploads:
        """Takes uploads by people."""
        limits = self.settings.uploads
        return Uploads(
            self.database,
            self.recorder,
            self.keystore,
            self.objects,
            self.access,
            self.agreements,
            Limits(limits.file_bytes, limits.count, limits.total_bytes, limits.hours),
        )

    @property
    def upload_work(self) -> UploadWork:
        """Protects what people uploaded."""
        return UploadWork(
            self.database,
            self.recorder,
            self.keystore,
            self.objects,
            self.archive,
            self.agreements,
            self.uploads,
            self.quarantine,
            lambda institution: text_reader(self.settings, institution),
        )

    @property
    def quarantine(self) -> Quarantine:
        """What protection holds back of uploads."""
        limits = self.settings.quarantine
        return Quarantine(
            self.database,
            self.recorder,
            self.keystore,
            self.objects,
            self.access,
            self.agreements,
            limits.days,
            limits.total_bytes,
        )

    @property
    def quarantine_work(self) -> QuarantineWork:
        """Tries again what is held back, and ends it."""
        return QuarantineWork(
            self.database,
            self.recorder,
            self.keystore,
            self.objects,
            self.archive,
            self.agreements,
            self.tombstones,
            lambda institution: text_reader(self.settings, institution),
        )

    @property
    def machine_data(self) -> MachineData:
        """Logs, status and configuration of devices and applications."""
        return MachineData(
            self.database,
            self.recorder,
            self.keystore,
            self.objects,
            self.access,
            self.agreements,
            self.rates,
            self.settings.machine_data.total_bytes,
        )

    @property
    def machine_work(self) -> MachineWork:
        """Ends machine data, and tells applications of it."""
        return MachineWork(
            self.database, self.recorder, self.keystore, self.objects, self.agreements, self.tombstones
        )

    @property
    def data_maps(self) -> DataMaps:
        """What is held of each institution."""
        return DataMaps(self.database, self.recorder, self.entitlements, self.settings)

    @property
    def api(self) -> ApiParts:
        """What the handlers of the JSON API use."""
        return ApiParts(
            database=self.database,
            keystore=self.keystore,
            recorder=self.recorder,
            identity=self.identity,
            agreements=self.agreements,
            entitlements=self.entitlements,
            sources=self.sources,
            access=self.access,
            grants=self.grants,
            archive=self.archive,
            applications=self.applications,
            clients=Clients(self.database, self.denials, self.rates),
            access_tokens=AccessTokens(self.database, self.recorder),
            platform_keys=PlatformKeys(self.keystore),
            enrolments=self.enrolments,
            rates=self.rates,
            people=self.people,
            provider=self.provider,
            federations=self.federations,
            factors=self.factors,
            sign_in=self.sign_in,
            witnesses=self.witnesses,
            audit_log=self.audit_log,
            application_entries=ApplicationEntries(self.database, self.recorder, self.rates),
            sharing=self.sharing,
            recipients=Recipients(self.database, self.recorder, self.agreements, self.entitlements),
            uploads=self.uploads,
            quarantine=self.quarantine,
            deletion=self.deletion,
            receipts=self.receipts,
            links=Links(self.database, self.keystore, self.recorder, self.access),
            viewer_links=ViewerLinks(
                self.database, self.keystore, self.recorder, ohif=self.settings.web.ohif_url
            ),
            measurements=Measurements(
                self.archive, self.access, self.agreements, Drawing(self.database, self.keystore)
            ),
            feed=self.feed,
            webhooks=self.webhooks,
            notifications=self.notifications,
            definitions=self.definitions,
            data_maps=self.data_maps,
            machine_data=self.machine_data,
            machine_subscriptions=Subscriptions(self.database, self.recorder, self.machine_data),
            dicom_port=self.settings.own_dicom_port,
        )

    @property
    def witnesses(self) -> Witnesses:
        """Who cosigns the heads of the logs."""
        return Witnesses(self.database, self.recorder, self.audit_log)

    @property
    def anchors(self) -> Anchors:
        """Where heads are brought to."""
        kinds = {
            "file": append_file,
            "https": post_https,
            "syslog": deliver_syslog(self.collectors),
        }
        if self.post is not None:
            kinds["mail"] = mail_note(self.post)
        return Anchors(self.database, self.recorder, self.audit_log, kinds)
