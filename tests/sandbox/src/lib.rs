//! A faithful stand-in for the iCloud Photos services on a loopback port.
