# SPDX-License-Identifier: BSD-2-Clause
"""What the integration tests and packaging/quickstart share: private MTAs, clients, a daemon to try them on."""
