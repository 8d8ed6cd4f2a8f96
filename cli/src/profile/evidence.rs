//! What tells which functions a profile left out: the running service, else the binary, else the
//! sources.

use std::collections::HashMap;
use std::path::PathBuf;

use mapgrow_report::LoadedModule;
use mapgrow_report::profile::{HeapProfile, Innermost, MapType, ProfilePlace, SourceHint};
use mapgrow_report::symbols::Module;

use super::binary::GoBinary;
use super::service::Service;
use super::source::Sources;
use crate::symbols::{Files, Located, Places, locate};

/// Everything that can be asked.
pub struct Evidence<'a> {
    files: &'a Files,
    binaries: &'a [PathBuf],
    /// By path and build id.
    opened: HashMap<(String, Option<String>), Option<GoBinary<'a>>>,
    /// What the service said: functions by the return address that they were called from.
    called: HashMap<u64, Vec<String>>,
    sources: Sources,
    warnings: Vec<String>,
}

impl<'a> Evidence<'a> {
    /// Asks the binaries that the user named and those at the paths of the profile, and a
    /// service, if there is one.
    pub fn new(files: &'a Files, binaries: &'a [PathBuf], service: Option<&Service>) -> Self {
        let mut evidence = Self {
            files,
            binaries,
            opened: HashMap::new(),
            called: HashMap::new(),
            sources: Sources::default(),
            warnings: Vec::new(),
        };
        if let Some(service) = service {
            evidence.ask(service);
        }
        evidence
    }

    /// Asks the service again: it has run on.
    pub fn ask(&mut self, service: &Service) {
        match service.called() {
            Ok(called) => self.called.extend(called),
            Err(reason) => self.warn(format!(
                "the service does not tell the functions of its stacks ({reason}): only the binary \
                 can tell what grew"
            )),
        }
    }

    fn warn(&mut self, sentence: String) {
        /// A service may fail in another way each time that it is asked.
        const MOST_WARNINGS: usize = 16;
        if self.warnings.len() < MOST_WARNINGS && !self.warnings.contains(&sentence) {
            self.warnings.push(sentence);
        }
    }

    fn binary(&mut self, profile: &HeapProfile, place: &ProfilePlace) -> Option<&GoBinary<'a>> {
        let module = profile.modules.get(place.module? as usize)?;
        let key = (module.path.clone(), module.build_id.clone());
        if !self.opened.contains_key(&key) {
            let binary = self.open(module);
            self.opened.insert(key.clone(), binary);
        }
        self.opened.get(&key)?.as_ref()
    }

    fn open(&mut self, module: &LoadedModule) -> Option<GoBinary<'a>> {
        let places = Places {
            pid: None,
            program: Some(module.path.clone()),
            binaries: self.binaries.to_vec(),
        };
        let wanted = Module {
            start: module.start_address,
            end: module.end_address,
            bias: 0,
            build_id: bytes_of(module.build_id.as_deref().unwrap_or_default()),
            path: module.path.clone(),
        };
        let opened = match locate(self.files, &places, &wanted) {
            Located::Found(opened) => GoBinary::new(*opened),
            Located::Unusable(_) => Err(format!(
                "{} is gone or another build than the one that ran: it cannot tell what was called",
                module.path
            )),
            Located::NoFile => return None,
        };
        match opened {
            Ok(binary) => Some(binary),
            Err(sentence) => {
                // The service has told more than the binary could.
                if self.called.is_empty() {
                    self.warn(sentence);
                }
                None
            }
        }
    }
}

impl Innermost for Evidence<'_> {
    fn called(&mut self, profile: &HeapProfile, place: &ProfilePlace) -> Vec<String> {
        if let Some(called) = self.called.get(&place.address.wrapping_add(1)) {
            return called.clone();
        }
        let binary = self.binary(profile, place);
        binary
            .and_then(|binary| binary.called(profile, place))
            .unwrap_or_default()
    }

    fn map_type(&mut self, profile: &HeapProfile, place: &ProfilePlace) -> Option<MapType> {
        self.binary(profile, place)?.map_type(profile, place)
    }

    fn source(&mut self, profile: &HeapProfile, place: &ProfilePlace) -> Option<SourceHint> {
        let &(function, line) = place.lines.first()?;
        let function = profile.functions.get(function as usize)?;
        self.sources.hint(function.file.as_deref()?, line?)
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}

/// A build id as bytes; empty when it is not written in hexadecimal, as Go's own ids are not.
fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Option<Vec<u8>> = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    digits.unwrap_or_default()
}
