//! FAULTS.md, C5: the server is there and refuses: read-only, out of memory, out of connections, the credentials revoked.

use coracle_backends::redis::{BucketSettings, Client, Password};
use coracle_capability::{
    contract::CallError as _,
    keyvalue::{Call, Error, Reply, conformance},
};

use crate::{
    proxy::Proxy,
    server::{
        Bucket, RECOVERY, Server, bucket_of, client_at, config_at, delete, exists, get, increment,
        keys, list, recovery, refusal, set, value,
    },
};

const PASSWORD: &str = "c4nary-hunter2";

#[tokio::test]
async fn a_replica_is_read_and_becomes_writable_when_it_is_promoted() {
    let Some(primary) = Server::start(&[]) else {
        return;
    };
    primary.bucket().call(set("k", b"v")).await.unwrap();
    let port = primary.port.to_string();
    let Some(replica) = Server::start(&["--replicaof", "127.0.0.1", &port]) else {
        return;
    };
    let bucket = replica.bucket();
    let since = std::time::Instant::now();
    while bucket.call(get("k")).await != value(b"v") {
        assert!(
            since.elapsed().as_secs() < 20,
            "the replica does not follow"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(bucket.call(list("", None, 9)).await, keys(&["k"]));
    for call in [set("k", b"w"), delete("k"), increment("n", 1)] {
        let error = refusal(&bucket, call).await;
        assert_eq!(
            error,
            Error::Unavailable("this Redis is a read-only replica".into())
        );
        assert_eq!(bucket.call(exists("k")).await, Ok(Reply::Exists(true)));
    }
    let (): () = replica.admin().ask("REPLICAOF NO ONE");
    assert!(recovery(&bucket, set("k", b"w")).await < RECOVERY);
}

/// The server that was left stays up as a replica, and the connections to it too.
#[tokio::test]
async fn the_new_primary_behind_the_same_name_is_found() {
    let (Some(old), Some(new)) = (Server::start(&[]), Server::start(&[])) else {
        return;
    };
    let proxy = Proxy::to(old.port).await;
    let bucket = bucket_of(&client_at(&proxy.url()));
    for _ in 0..4 {
        bucket.call(set("k", b"v")).await.unwrap();
    }
    proxy.redirect(new.port);
    let follow = format!("REPLICAOF 127.0.0.1 {}", new.port);
    let (): () = old.admin().ask(&follow);
    let error = refusal(&bucket, set("k", b"w")).await;
    assert_eq!(
        error,
        Error::Unavailable("this Redis is a read-only replica".into())
    );
    assert!(recovery(&bucket, set("k", b"w")).await < RECOVERY);
    assert_eq!(new.bucket().call(get("k")).await, value(b"w"));
}

/// The expired key cannot be removed from the index there.
#[tokio::test]
async fn a_replica_lists_without_forgetting() {
    let Some(primary) = Server::start(&[]) else {
        return;
    };
    let port = primary.port.to_string();
    let Some(replica) = Server::start(&["--replicaof", "127.0.0.1", &port]) else {
        return;
    };
    let writer = primary.bucket();
    for key in ["a", "b"] {
        writer.call(set(key, b"v")).await.unwrap();
    }
    let _: u64 = primary
        .admin()
        .ask(&format!("DEL {}", crate::server::wire("a")));
    let bucket = replica.bucket();
    let since = std::time::Instant::now();
    while bucket.call(list("", None, 9)).await != keys(&["b"]) {
        assert!(
            since.elapsed().as_secs() < 20,
            "the replica does not follow"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_server_out_of_memory_reads_and_deletes_and_writes_nothing() {
    let Some(server) = Server::start(&["--maxmemory-policy", "noeviction"]) else {
        return;
    };
    let bucket = server.bucket();
    bucket.call(set("k", b"5")).await.unwrap();
    bucket.call(set("deleted", b"5")).await.unwrap();
    let (): () = server.admin().ask("CONFIG SET maxmemory 1");
    let swap = Call::CompareAndSwap {
        key: "k".into(),
        expected: Some(b"5".into()),
        value: b"6".to_vec(),
    };
    let pairs = vec![("a".to_string(), vec![]), ("b".to_string(), vec![])];
    for call in [
        set("new", b""),
        increment("k", 1),
        increment("n", 1),
        swap,
        Call::SetMany { pairs },
    ] {
        let error = refusal(&bucket, call).await;
        assert_eq!(error, Error::Unavailable("Redis is out of memory".into()));
    }
    assert_eq!(bucket.call(delete("deleted")).await, Ok(Reply::Done));
    assert_eq!(bucket.call(get("k")).await, value(b"5"));
    assert_eq!(bucket.call(list("", None, 9)).await, keys(&["k"]));
    let (): () = server.admin().ask("CONFIG SET maxmemory 0");
    assert_eq!(bucket.call(set("new", b"")).await, Ok(Reply::Done));
}

#[tokio::test]
async fn a_server_that_fills_up_keeps_what_it_acknowledged() {
    let Some(server) = Server::start(&["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"])
    else {
        return;
    };
    let bucket = server.bucket();
    let mut written = 0;
    let error = loop {
        match bucket
            .call(set(&format!("{written:04}"), &[7; 10_000]))
            .await
        {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::Unavailable("Redis is out of memory".into()));
    assert!(written > 0);
    let Ok(Reply::Keys { keys, .. }) = bucket.call(list("", None, 1_000)).await else {
        panic!("no keys")
    };
    assert_eq!(keys.len(), written);
    for key in keys {
        assert_eq!(bucket.call(get(&key)).await, value(&[7; 10_000]));
    }
}

#[tokio::test]
async fn a_server_out_of_connections_is_found_when_it_has_one() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut admin = server.admin();
    let (): () = admin.ask("CONFIG SET maxclients 1");
    let bucket = server.bucket();
    let error = refusal(&bucket, get("k")).await;
    assert!(error.is_temporary(), "{error}");
    let (): () = admin.ask("CONFIG SET maxclients 100");
    assert!(recovery(&bucket, get("k")).await < RECOVERY);
}

#[tokio::test]
async fn revoked_credentials_fail_until_they_are_given_back() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut admin = server.admin();
    let given = format!("ACL SETUSER coracle on >{PASSWORD} ~team-a:* ~coracle:* +@all");
    let (): () = admin.ask(&given);
    let bucket = as_user(&server, PASSWORD);
    bucket.call(set("k", b"v")).await.unwrap();

    let _: u64 = admin.ask("ACL DELUSER coracle");
    let since = std::time::Instant::now();
    let error = loop {
        let error = refusal(&bucket, set("k", b"w")).await;
        if !error.is_temporary() {
            break error;
        }
        assert!(since.elapsed() < RECOVERY, "{error}");
    };
    assert_eq!(error, Error::Failed("Redis refused the credentials".into()));
    let (): () = admin.ask(&given);
    assert!(recovery(&bucket, set("k", b"w")).await < RECOVERY);

    let (): () = admin.ask("ACL SETUSER coracle -set -zadd");
    let error = refusal(&bucket, set("k", b"x")).await;
    assert_eq!(
        error,
        Error::Failed("the user of Redis lacks a permission".into())
    );
    assert_eq!(bucket.call(get("k")).await, value(b"w"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_permissions_are_enough() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let commands = "+ping +select +eval +evalsha +exists +get +getrange +mget +strlen +set +unlink +incrby +pexpire \
                    +persist +pttl +zadd +zrem +zrandmember +zrangebylex";
    let user = format!("ACL SETUSER coracle on >{PASSWORD} ~coracle:* -@all {commands}");
    let (): () = server.admin().ask(&user);
    conformance::run(&as_user(&server, PASSWORD), &Client::SUPPORT).await;
    let mut config = config_at(&server.url());
    config.username = Some("coracle".into());
    config.password = Some(Password::new(PASSWORD));
    let settings = BucketSettings {
        ttl: Some(std::time::Duration::from_secs(600)),
        ..BucketSettings::default()
    };
    let expiring = Client::new(config)
        .unwrap()
        .bucket("blog", "posts", &settings);
    conformance::run(&expiring, &Client::SUPPORT).await;
}

#[tokio::test]
async fn no_message_holds_the_password() {
    let Some(server) = Server::start(&["--requirepass", PASSWORD]) else {
        return;
    };
    let anonymous = refusal(&server.bucket(), get("k")).await;
    assert_eq!(
        anonymous,
        Error::Failed("Redis refused the credentials".into())
    );
    let wrong = as_user(&server, &format!("{PASSWORD}-wrong"));
    let error = refusal(&wrong, get("k")).await;
    assert!(!error.is_temporary());
    assert!(!format!("{error} {error:?}").contains(PASSWORD));

    let mut config = config_at(&server.url());
    config.password = Some(Password::new(PASSWORD));
    let bucket = bucket_of(&Client::new(config).unwrap());
    assert_eq!(bucket.call(set("k", b"v")).await, Ok(Reply::Done));
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_waited_for_elsewhere() {
    let Some(mut server) = Server::start(&[
        "--key-load-delay",
        "500",
        "--loading-process-events-interval-bytes",
        "1024",
    ]) else {
        return;
    };
    let bucket = server.bucket();
    for from in 0..4 {
        let pairs = (0..1_000)
            .map(|at| (format!("{from}/{at}"), vec![]))
            .collect();
        bucket.call(Call::SetMany { pairs }).await.unwrap();
    }
    server.kill();
    let restarted = std::thread::spawn(move || {
        server.run();
        server
    });
    let since = std::time::Instant::now();
    let mut loading = 0;
    while let Err(error) = bucket.call(get("0/0")).await {
        assert!(error.is_temporary(), "{error}");
        loading += u32::from(error == Error::Unavailable("Redis is loading its data".into()));
        assert!(since.elapsed().as_secs() < 30);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(loading > 0, "it was never seen loading");
    drop(restarted.join().unwrap());
}

fn as_user(server: &Server, password: &str) -> Bucket {
    let mut config = config_at(&server.url());
    config.username = Some("coracle".into());
    config.password = Some(Password::new(password));
    bucket_of(&Client::new(config).unwrap())
}
