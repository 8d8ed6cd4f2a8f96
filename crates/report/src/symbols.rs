//! What the report asks of whoever can turn addresses into names.

pub use mapgrow_format::Module;

/// One function at an address: a physical frame has one of these for each function that was
/// inlined there, and one for the function itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// Demangled name with generic arguments where the source of names has them, without the
    /// trailing hash.
    pub function: Option<String>,
    /// Source file.
    pub file: Option<String>,
    /// Line, counted from 1.
    pub line: Option<u32>,
}

/// Turns addresses into functions and lines.
pub trait Symbolizer {
    /// The functions at `address` (an address as the process saw it, that of an instruction
    /// inside the call: callers pass return address minus 1), innermost inlined one first, the
    /// physical function last. Empty when nothing is known.
    fn frames(&mut self, module: &Module, address: u64) -> Vec<Frame>;

    /// Functions that the call at `outer` entered and that left by a jump, as their last act, to the
    /// function at `inner`: no frame of theirs was on the stack any more. Innermost first; empty where
    /// there were none, or it cannot be proven.
    fn left_by_jump(&mut self, module: &Module, outer: u64, inner: u64) -> Vec<Frame> {
        let _ = (module, outer, inner);
        Vec::new()
    }

    /// These addresses will be asked for, each as [`frames`](Symbolizer::frames) takes it: many
    /// at once can be looked up faster than one by one.
    fn look_ahead(&mut self, addresses: &[(&Module, u64)]) {
        let _ = addresses;
    }

    /// The function at an address that lies in no object: machine code that the process itself
    /// generated, as interpreters and just-in-time compilers do.
    fn generated(&mut self, address: u64) -> Option<Frame> {
        let _ = address;
        None
    }

    /// Element types of the container whose growth function is the physical function at
    /// `address` (for a map: key and value), when debug information or mangling has them:
    /// `["u64", "Session"]`.
    fn element_type(&mut self, module: &Module, address: u64) -> Option<String> {
        let _ = (module, address);
        None
    }

    /// Element type of the container that grew at the innermost end of a call stack (innermost
    /// address first, as [`frames`](Symbolizer::frames) takes them). Prefer this over asking for
    /// one address: compilers give functions with equal machine code one body, which debug
    /// information then calls by the name of any of them, so the growth function itself may
    /// claim another container's type. Who called it knows better.
    fn element_type_of_stack(&mut self, stack: &[(&Module, u64)]) -> Option<String> {
        let (at, told) = stack
            .iter()
            .enumerate()
            .find_map(|(at, (module, address))| Some((at, self.element_type(module, *address)?)))?;
        let (module, address) = stack[at];
        let physical = self.frames(module, address).pop();
        let grows_any_container = physical
            .and_then(|frame| frame.function)
            .is_some_and(|name| {
                ["alloc::raw_vec::", "hashbrown::raw::"]
                    .iter()
                    .any(|path| name.starts_with(path))
            });
        let by_caller = match stack.get(at + 1) {
            Some((module, address)) if grows_any_container => self.element_type(module, *address),
            _ => None,
        };
        by_caller.or(Some(told))
    }

    /// Sentences about what could not be resolved and why (file gone, build id differs,
    /// stripped), each once.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Nothing more will be asked about the recording at hand, except for the warnings: what was
    /// kept for it may go.
    fn done(&mut self) {}
}
