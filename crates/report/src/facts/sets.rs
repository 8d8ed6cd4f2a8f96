//! Pairs of things that belong together go in, sets come out.

/// Sets of groups, or of sites, each called by its first one.
pub(crate) struct Sets(pub Vec<usize>);

impl Sets {
    pub fn find(&mut self, at: usize) -> usize {
        let mut root = at;
        while self.0[root] != root {
            self.0[root] = self.0[self.0[root]];
            root = self.0[root];
        }
        root
    }

    pub fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}
