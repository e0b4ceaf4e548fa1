"""Conversion on Apache Beam, for logs beyond one machine; Beam is imported only when a job runs."""
