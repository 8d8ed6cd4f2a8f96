//! Hands words that may be a header to the families whose it may be.

use super::proof::Header;
use super::words::WORDS;
use super::{
    Search, abseil, boost, cpython, cpython_set, glib, go, go_buckets, hashbrown, khash, libcxx,
    libstdcxx, proof, redis, redis_older, ruby,
};

/// Looks at the words at `header`, of which the first three may be addresses or not.
#[inline]
pub(super) fn look(
    search: &mut Search<'_>,
    header: u64,
    words: &[u64; WORDS],
    addresses: [bool; 3],
) {
    let [first, second, third] = addresses;
    if first && hashbrown::is_mask(words[1]) || second && hashbrown::is_mask(words[0]) {
        let four = [words[0], words[1], words[2], words[3]];
        if let Some(candidate) = hashbrown::Candidate::of(four, search.group) {
            hashbrown::prove(search, header, candidate);
        }
    }
    if first {
        let candidate = libstdcxx::Candidate::of(words);
        // What begins like the one may be the other: what the first node says of itself is proof, where
        // the header says little.
        if candidate.is_none_or(|candidate| candidate.says_little)
            && let Some(candidate) = libcxx::Candidate::of(words)
        {
            libcxx::prove(search, header, candidate);
        }
        if let Some(candidate) = candidate {
            libstdcxx::prove(search, header, candidate);
        }
    }
    if (first && second || third)
        && let Some(candidate) = abseil::Candidate::of(words)
    {
        abseil::prove(search, header, candidate);
    }
    if second {
        search.extents.look(header, words[0], words[1], words[2]);
        if let Some(candidate) = cpython::Candidate::of(words) {
            cpython::prove(search, header, candidate);
        } else if let Some(candidate) = cpython_set::Candidate::of(words) {
            cpython_set::prove(search, header, candidate);
        } else if let Some(candidate) = redis::Candidate::of(words) {
            redis::prove(search, header, candidate);
        }
        // What begins like an object of Python may be one of these.
        if ruby::Candidate::may_begin(words)
            && let Some((header, candidate)) = ruby::Candidate::at(search, header)
        {
            proof::prove(search, header, candidate);
        }
    }
    if first
        && second
        && third
        && glib::Candidate::may_begin(words)
        && let Some((header, candidate)) = glib::Candidate::at(search, header)
    {
        proof::prove(search, header, candidate);
    }
    if third {
        if redis_older::Candidate::may_begin(words)
            && let Some(candidate) = redis_older::Candidate::read(search, header)
        {
            proof::prove(search, header, candidate);
        }
        if boost::Candidate::may_begin(words)
            && let Some((header, candidate)) = boost::Candidate::at(search, header)
        {
            proof::prove(search, header, candidate);
        }
        if let Some(candidate) = khash::Candidate::of(words) {
            proof::prove(search, header, candidate);
        }
        if let Some(candidate) = go::Candidate::of(words) {
            go::prove(search, header, candidate);
        }
        // A nearly empty one may look like one of the other kind, too.
        if let Some(candidate) = go_buckets::Candidate::of(words) {
            go_buckets::prove(search, header, candidate);
        }
    }
}
