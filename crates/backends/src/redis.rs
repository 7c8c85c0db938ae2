//! Redis, and servers that speak as it does: buckets of many apps in one database.
//!
//! In: where the server is, and names. Out: buckets that no other app's keys reach and none reaches out of. A value is as durable
//! as the server makes it, and a bucket's keys may expire. Needs Redis 7.0 or newer, not a cluster, without eviction
//! (`maxmemory-policy noeviction`): a key that the server evicts is gone, and with a bucket's index its keys would no longer be
//! listed.
//!
//! The least an ACL user needs: `~PATHcoracle:* -@all +ping +select +eval +evalsha +exists +get +getrange +mget +strlen +set +unlink
//! +incrby +pexpire +persist +pttl +zadd +zrem +zrandmember +zrangebylex`.

mod client;
mod config;
mod dial;
mod failure;
mod keyvalue;
mod link;
mod names;
mod scripts;
mod watched;

pub use client::{BucketSettings, Client};
pub use config::{Config, ConfigError, Endpoint, Password};
pub use names::KeyPath;
