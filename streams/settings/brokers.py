"""Makes of the section `[kafka]` what clients need to talk to the brokers. Reads the files of certificates and keys."""

import ssl

from streams.kafka.brokers import MECHANISMS, Brokers, SaslMechanism, Security, UnsafeSettingsError
from streams.settings.config import Kafka, SettingsError

_OF_TLS = ("ca_file", "certificate_file", "key_file")


def read_brokers(kafka: Kafka) -> Brokers:
    """The brokers of the settings. The embedded one knows neither TLS nor passwords and listens on loopback.

    Raises:
        SettingsError: settings that do not fit each other, or a file that holds no certificate or key.
        UnsafeSettingsError: a password would go out in clear.
    """
    if kafka.embedded:
        return Brokers(kafka.bootstrap_servers)
    if kafka.security != "tls" and kafka.sasl_mechanism:
        raise UnsafeSettingsError(
            f"kafka.sasl_mechanism is {kafka.sasl_mechanism}, and without TLS the password would be sent in clear; "
            'say kafka.security = "tls" (LEADSTREAM_KAFKA_SECURITY) and the TLS port of the brokers'
        )
    if problems := _problems(kafka):
        raise SettingsError(problems)
    if kafka.security != "tls":
        return Brokers(kafka.bootstrap_servers)
    return Brokers(
        kafka.bootstrap_servers, Security(_context(kafka), _mechanism(kafka), kafka.username, kafka.password)
    )


def _problems(kafka: Kafka) -> list[str]:
    """What was set and would have no effect, or lacks its other half."""
    unused = [] if kafka.security == "tls" else [name for name in _OF_TLS if getattr(kafka, name)]
    problems = [f'kafka.{name} is set and not used: say kafka.security = "tls"' for name in unused]
    if kafka.key_file and not kafka.certificate_file:
        problems.append("kafka.key_file is set without kafka.certificate_file: both are of the client's certificate")
    if kafka.sasl_mechanism and not (kafka.username and kafka.password):
        problems.append(f"kafka.sasl_mechanism is {kafka.sasl_mechanism}: set kafka.username and kafka.password, too")
    if not kafka.sasl_mechanism and (kafka.username or kafka.password):
        problems.append(
            f"kafka.username or kafka.password is set and not used: say kafka.sasl_mechanism, one of "
            f"{', '.join(MECHANISMS)}"
        )
    return problems


def _mechanism(kafka: Kafka) -> SaslMechanism | None:
    return next((name for name in MECHANISMS if name == kafka.sasl_mechanism), None)


def _context(kafka: Kafka) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=kafka.ca_file or None)
    except OSError as error:  # also SSLError
        raise SettingsError([_unusable("kafka.ca_file", kafka.ca_file, error)]) from error
    if kafka.certificate_file:
        try:
            # A key that needs a password must fail here, not ask on the terminal.
            context.load_cert_chain(kafka.certificate_file, kafka.key_file or None, password="")
        except OSError as error:
            files = f"{kafka.certificate_file} with {kafka.key_file or 'the key in it'}"
            raise SettingsError([_unusable("kafka.certificate_file", files, error)]) from error
    return context


def _unusable(name: str, files: str, error: OSError) -> str:
    why = "not PEM, or the key does not fit or has a password" if isinstance(error, ssl.SSLError) else error.strerror
    return f"{name}: cannot use {files}: {why}"
