//! Redis, in memory only: one for everybody, and one for those who have a certificate and a password,
//! and who may do there what Meridian's user has to, and no more.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::Result;

use super::certificates::Certificates;
use super::file::Redis;
use crate::process::{Program, Service, find, free_address};
use crate::scratch::Scratch;

const START_LIMIT: Duration = Duration::from_secs(30);
const USER: &str = "meridian";
const PASSWORD: &str = "another-password-for-tests";
/// As `crates/cache/README.md` has it.
const MAY: &str = "+get +set +del +eval +getrange +incrby +pttl +pexpire +ping +select";

pub(super) fn start(services: &mut Vec<Service>, scratch: &Scratch) -> Result<Redis> {
    let dir = scratch.dir("redis")?;
    let certificates = Certificates::issue(Ipv4Addr::LOCALHOST, &dir)?;
    let (address, secure_address) = (free_address()?, free_address()?);
    let port = |address: &str| address.rsplit_once(':').map(|(_, port)| port.to_owned());
    let plain = format!("port {}", port(&address).expect("host and port"));
    let secure = format!(
        "port 0\n\
         tls-port {}\n\
         tls-cert-file {server}\n\
         tls-key-file {server}\n\
         tls-ca-cert-file {}\n\
         tls-auth-clients yes\n\
         user default off\n\
         user {USER} on >{PASSWORD} ~* {MAY}",
        port(&secure_address).expect("host and port"),
        certificates.authority.display(),
        server = certificates.broker.display(),
    );
    for (name, settings) in [("redis", plain), ("redis-secure", secure)] {
        let file = dir.join(format!("{name}.conf"));
        let text = format!(
            "bind 127.0.0.1\ndir {}\nsave \"\"\nappendonly no\nset-proc-title no\n{settings}\n",
            dir.display()
        );
        fs::write(&file, text)?;
        let program = find("redis-server").unwrap_or_else(|| "redis-server".into());
        let log = scratch.path().join(format!("{name}.log"));
        // Its command line says whose it is.
        let service = Program::new(program).arg(&file).start(&log)?;
        scratch.note(&service)?;
        services.push(service);
    }
    let first = services.len() - 2;
    services[first].wait_until(START_LIMIT, || answers(&address).is_ok_and(|it| it))?;
    services[first + 1].wait_until(START_LIMIT, || TcpStream::connect(&secure_address).is_ok())?;
    let password_file = dir.join("password");
    fs::write(&password_file, PASSWORD)?;
    Ok(Redis {
        address,
        secure_address,
        ca_file: certificates.authority,
        certificate_file: certificates.client,
        key_file: certificates.client_key,
        user: USER.to_owned(),
        password_file,
    })
}

fn answers(address: &str) -> Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"+PONG\r\n")
}
