//! Addresses go in, functions come out; each address is looked up once.

use super::modules::Modules;
use crate::symbols::{Frame, Module, Symbolizer};
use foldhash::{HashMap, HashSet};
use mapgrow_containers::classify::names::Name;
use mapgrow_containers::classify::whose::{self, Whose};
use mapgrow_format::layout::{edge, script};
use mapgrow_format::reader::{Recording, ScriptFrame, Site};
use std::rc::Rc;
use std::sync::Arc;

/// A function at an address. Text is shared: many addresses lie in one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    /// What it is called: its name as the symbolizer gave it, else the object and the offset.
    pub shown: Arc<str>,
    /// Source file.
    pub file: Option<Arc<str>>,
    /// Line, counted from 1.
    pub line: Option<u32>,
    /// Its name in comparable form; `None` when it has none.
    pub name: Option<Rc<Name>>,
    /// Whose code it is; `None` when it has no name.
    pub whose: Option<Whose>,
}

/// A frame of a call stack as the machine has it.
#[derive(Debug, Clone)]
pub(crate) struct PhysicalFrame {
    /// Return address.
    pub address: u64,
    /// Object that it lies in.
    pub module: Option<usize>,
    /// Innermost inlined function first; never empty.
    pub functions: Rc<[Function]>,
}

impl PhysicalFrame {
    /// Whether anything but the address is known.
    pub fn named(&self) -> bool {
        self.functions
            .iter()
            .any(|function| function.name.is_some())
    }

    /// Whether this is code that the process generated, and what it stands for is known: a
    /// function of the language that an interpreter runs, say.
    pub fn generated(&self) -> bool {
        self.module.is_none() && self.named()
    }

    /// Whether this is a place in the code of an interpreted language.
    pub fn scripted(&self) -> bool {
        self.address & script::MARK != 0
    }

    /// Whether this is code of the interpreter's own between that of the script: it has no line, and
    /// lies in no file (CPython 3.12 calls it `<shim>`).
    pub fn passes_through_interpreter(&self) -> bool {
        let nowhere = |function: &Function| {
            let file = function.file.as_deref();
            function.line.is_none() && file.is_some_and(|file| file.starts_with('<'))
        };
        self.scripted() && self.functions.iter().all(nowhere)
    }

    /// Whether line tables cover the address, so that inlined functions are known too.
    pub fn has_lines(&self) -> bool {
        self.functions
            .iter()
            .any(|function| function.line.is_some())
    }
}

pub(crate) struct Resolver<'a> {
    modules: Modules,
    /// Frames of interpreted languages, by what stacks have for them.
    scripts: HashMap<u64, Frame>,
    symbolizer: &'a mut dyn Symbolizer,
    texts: Texts,
    known: HashMap<(Option<usize>, u64), Rc<[Function]>>,
    /// Functions of a frame with those that it called and that left by a jump to the next.
    jumped: HashMap<(usize, u64, u64), Rc<[Function]>>,
    /// Frames that may still be read: sites share stacks at most a little, and a forged
    /// recording must not make a few bytes into millions of frames.
    frames_left: usize,
}

/// Whether this is the library that records under `LD_PRELOAD`, by the names that it is given.
fn is_preload_library(module: &Module) -> bool {
    let name = module.path.rsplit('/').next().unwrap_or_default();
    name.starts_with("libmapgrow") && name.contains(".so")
}

impl<'a> Resolver<'a> {
    pub fn new(recording: &Recording, symbolizer: &'a mut dyn Symbolizer) -> Self {
        Self {
            modules: Modules::new(recording.modules()),
            scripts: recording.script_frames().map(script_frame).collect(),
            symbolizer,
            texts: Texts::default(),
            known: HashMap::default(),
            jumped: HashMap::default(),
            frames_left: recording.stack_words().saturating_mul(2),
        }
    }

    /// Announces the addresses of all sites and edges.
    pub fn look_ahead(&mut self, recording: &Recording) {
        let mut keys: HashSet<(usize, u64)> = HashSet::default();
        let mut left = self.frames_left;
        let epoch = |site: u32| recording.site(site).map_or(0, |site| site.module_epoch());
        let frees = recording
            .edges()
            .map(|edge| (edge.word(edge::FREE_PC), epoch(edge.new_site())));
        let mut see = |address: u64, epoch: usize| {
            let call = address.checked_sub(1)?;
            keys.insert((self.modules.at(call, epoch)?, call));
            Some(())
        };
        for (address, epoch) in frees {
            see(address, epoch);
        }
        for site in recording.sites() {
            let stack = recording.stack(&site);
            let Some(rest) = left.checked_sub(stack.len()) else {
                break;
            };
            left = rest;
            for address in stack.iter() {
                see(address, site.module_epoch());
            }
        }
        let addresses: Vec<(&Module, u64)> = keys
            .into_iter()
            .filter_map(|(module, call)| Some((self.modules.get(module)?, call)))
            .collect();
        self.symbolizer.look_ahead(&addresses);
    }

    /// The call stack of a site, innermost first.
    pub fn stack(&mut self, recording: &Recording, site: &Site<'_>) -> Vec<PhysicalFrame> {
        let stack = recording.stack(site);
        if stack.len() > self.frames_left {
            return Vec::new();
        }
        self.frames_left -= stack.len();
        let stack = stack.iter();
        let mut frames: Vec<PhysicalFrame> = stack
            .map(|address| self.frame(address, site.module_epoch()))
            .collect();
        for at in 1..frames.len() {
            let (inner, outer) = (&frames[at - 1], &frames[at]);
            frames[at].functions = self.with_jumped(inner, outer);
        }
        frames
    }

    /// The functions of a frame, and inside them those that it called and that left by a jump to the
    /// next: they have no frame of their own.
    fn with_jumped(&mut self, inner: &PhysicalFrame, outer: &PhysicalFrame) -> Rc<[Function]> {
        let plain = || Rc::clone(&outer.functions);
        let both = outer.module.filter(|_| inner.module == outer.module);
        // A function without a name is told by what else it does; a name inside it would hide that.
        let known = outer.named() && !outer.scripted() && !inner.scripted();
        let Some(index) = both.filter(|_| known) else {
            return plain();
        };
        let key = (index, inner.address, outer.address);
        if let Some(known) = self.jumped.get(&key) {
            return Rc::clone(known);
        }
        let functions = match self.modules.get(index) {
            Some(module) => {
                let (at, next) = (outer.address - 1, inner.address - 1);
                let between = self.symbolizer.left_by_jump(module, at, next);
                let between = between.into_iter();
                let jumped = between.map(|frame| self.texts.function(frame, || "?".into()));
                jumped.chain(outer.functions.iter().cloned()).collect()
            }
            None => plain(),
        };
        self.jumped.insert(key, Rc::clone(&functions));
        functions
    }

    /// A return address, met when `epoch` modules were known.
    pub fn frame(&mut self, address: u64, epoch: usize) -> PhysicalFrame {
        // The call, not what follows it, which may be another function.
        let module = address
            .checked_sub(1)
            .and_then(|call| self.modules.at(call, epoch));
        let functions = match self.known.get(&(module, address)) {
            Some(functions) => Rc::clone(functions),
            None => {
                let functions = self.resolve(address, module);
                self.known.insert((module, address), Rc::clone(&functions));
                functions
            }
        };
        PhysicalFrame {
            address,
            module,
            functions,
        }
    }

    fn resolve(&mut self, address: u64, module: Option<usize>) -> Rc<[Function]> {
        let module = module.and_then(|index| self.modules.get(index));
        if address & script::MARK != 0 {
            return self.script(address);
        }
        let frames = match module {
            Some(module) => self.symbolizer.frames(module, address - 1),
            None => {
                let generated = self.symbolizer.generated(address.saturating_sub(1));
                generated.into_iter().collect()
            }
        };
        let frames = if frames.is_empty() {
            vec![Frame::default()]
        } else {
            frames
        };
        let mut functions: Vec<Function> = frames
            .into_iter()
            .map(|frame| self.texts.function(frame, || placeholder(address, module)))
            .collect();
        // Whatever was inlined behind the allocator's entry is the allocator, whoever wrote it;
        // and all that is in the preload library is on the way to it.
        let entry = functions.iter().rposition(|function| {
            function
                .name
                .as_deref()
                .is_some_and(whose::enters_allocator)
        });
        let behind = match entry {
            _ if module.is_some_and(is_preload_library) => functions.len(),
            Some(entry) => entry,
            None => 0,
        };
        for function in &mut functions[..behind] {
            function.whose = Some(Whose::Plumbing);
        }
        // Its sources have no path by which one could tell, and its functions any name.
        if module.is_some_and(is_c_library) {
            let own = |function: &&mut Function| function.whose == Some(Whose::Program);
            for function in functions.iter_mut().filter(own) {
                function.whose = Some(Whose::Library);
            }
        }
        functions.into()
    }

    /// A place in the code of an interpreted language. Names there follow no rules of machine
    /// code's: whose it is follows from where it lies.
    fn script(&mut self, key: u64) -> Rc<[Function]> {
        let frame = self.scripts.get(&key).cloned().unwrap_or_default();
        let line = frame.line;
        let (function, file) = self.texts.take(frame);
        let whose = match file.as_deref().is_some_and(whose::is_library_file) {
            true => Whose::Library,
            false => Whose::Program,
        };
        Rc::new([Function {
            name: function.as_deref().map(|name| Rc::new(Name::parse(name))),
            whose: function.is_some().then_some(whose),
            shown: function.unwrap_or_else(|| "(a function of an interpreted language)".into()),
            file,
            line,
        }])
    }

    /// Element types of the container that grows at the innermost end of these frames.
    pub fn element_type(&mut self, outwards: &[PhysicalFrame]) -> Option<String> {
        let stack: Vec<(&Module, u64)> = outwards
            .iter()
            .map_while(|frame| {
                let module = self.modules.get(frame.module?)?;
                Some((module, frame.address.checked_sub(1)?))
            })
            .collect();
        self.symbolizer.element_type_of_stack(&stack)
    }

    /// Path of the object that a frame lies in.
    pub fn module_path(&self, frame: &PhysicalFrame) -> Option<&Arc<str>> {
        self.modules.path(frame.module?)
    }

    /// All stacks are resolved.
    pub fn done(&mut self) {
        self.known = HashMap::default();
        self.jumped = HashMap::default();
        self.texts = Texts::default();
        self.symbolizer.done();
    }

    pub fn warnings(&self) -> Vec<String> {
        self.symbolizer.warnings()
    }
}

/// A frame of an interpreted language, under what stacks have for it.
fn script_frame(frame: ScriptFrame) -> (u64, Frame) {
    let text = |text: String| (!text.is_empty()).then_some(text);
    let told = Frame {
        function: text(frame.function),
        file: text(frame.file),
        line: frame.line,
    };
    (frame.key, told)
}

/// Whether an object is the C library: `libc.so.6`, `libc-2.31.so`, `libc.musl-x86_64.so.1`.
fn is_c_library(module: &Module) -> bool {
    let file = module.path.rsplit('/').next().unwrap_or_default();
    ["libc.so", "libc-", "libc.musl-", "ld-musl-"]
        .iter()
        .any(|begin| file.starts_with(begin))
}

/// What to call a function that has no name: object and offset, else the address.
fn placeholder(address: u64, module: Option<&Module>) -> Arc<str> {
    let text = match module {
        Some(module) => {
            let file = module.path.rsplit('/').next().unwrap_or_default();
            format!("{file}+{:#x}", address.wrapping_sub(module.bias))
        }
        None => format!("{address:#x}"),
    };
    text.into()
}

/// A function by its name and its file.
pub(crate) type NameAndFile = (Arc<str>, Option<Arc<str>>);

/// Functions as their symbolizers name them, each text kept once.
#[derive(Debug, Default)]
struct Texts {
    known: HashSet<Arc<str>>,
    /// What follows from a function's name and file.
    meanings: HashMap<NameAndFile, (Rc<Name>, Whose)>,
}

impl Texts {
    /// What a frame says; `None` where it has no function.
    fn take(&mut self, frame: Frame) -> (Option<Arc<str>>, Option<Arc<str>>) {
        (
            frame.function.map(|function| self.shared(function)),
            frame.file.map(|file| self.shared(file)),
        )
    }

    /// A function as a frame says it, called this where it has no name.
    fn function(&mut self, frame: Frame, nameless: impl FnOnce() -> Arc<str>) -> Function {
        let line = frame.line;
        let (function, file) = self.take(frame);
        let meaning = function
            .as_ref()
            .map(|function| self.meaning(function, file.as_ref()));
        let (name, whose) = meaning.unzip();
        Function {
            shown: function.unwrap_or_else(nameless),
            file,
            line,
            name,
            whose,
        }
    }

    fn shared(&mut self, text: String) -> Arc<str> {
        if let Some(known) = self.known.get(text.as_str()) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.known.insert(Arc::clone(&text));
        text
    }

    fn meaning(&mut self, function: &Arc<str>, file: Option<&Arc<str>>) -> (Rc<Name>, Whose) {
        let key = (Arc::clone(function), file.cloned());
        let (name, whose) = self.meanings.entry(key).or_insert_with(|| {
            let name = Name::parse(function);
            let whose = whose::whose(&name, file.map(|file| &**file));
            (Rc::new(name), whose)
        });
        (Rc::clone(name), *whose)
    }
}
