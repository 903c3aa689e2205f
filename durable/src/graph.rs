//! The state graph of an orchestrator: the states its compiler made, what is alive in each, and
//! how they follow each other. Plain data that prints.

use std::fmt::{self, Write as _};

/// The states of an orchestrator, as `state_machine()` returns them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateGraph {
    /// The registered name of the orchestrator.
    pub name: &'static str,
    /// The variables that can be part of a saved state.
    pub variables: &'static [&'static str],
    /// The states in source order; the first is where every instance begins.
    pub states: &'static [StateNode],
    /// Which state can follow which, as indices into `states`. The end is not a state: see
    /// [`StateNode::ends`].
    pub edges: &'static [(usize, usize)],
}

/// One state of an orchestrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateNode {
    /// Its name, as it stands in the saved state.
    pub name: &'static str,
    /// What it waits for, as written in the source; empty for the start.
    pub awaits: &'static str,
    /// The line in the source file, 0 if not known.
    pub line: u32,
    /// The variables that are saved in it, as indices into [`StateGraph::variables`].
    pub live: &'static [usize],
    /// Whether the orchestration can end from here without another wait.
    pub ends: bool,
    /// The state that waits for the branch in which this one is, as an index into
    /// [`StateGraph::states`], and the number of the branch.
    pub within: Option<(usize, usize)>,
    /// For a state that waits for branches: the variable that keeps the value of each after its
    /// end, as an index into [`StateGraph::variables`], if it has one.
    pub branches: &'static [Option<usize>],
}

impl StateGraph {
    /// The names of the variables that are saved in `state`.
    pub fn live_variables(&self, state: &StateNode) -> Vec<&'static str> {
        state.live.iter().filter_map(|index| self.variables.get(*index).copied()).collect()
    }

    /// The index of the state of this name.
    pub fn position(&self, state: &str) -> Option<usize> {
        self.states.iter().position(|node| node.name == state)
    }

    /// The graph in the notation of Mermaid's state diagrams.
    pub fn to_mermaid(&self) -> String {
        let mut out = String::from("stateDiagram-v2\n    [*] --> Start\n");
        for (from, to) in self.edges {
            let _ = writeln!(out, "    {} --> {}", self.states[*from].name, self.states[*to].name);
        }
        for state in self.states.iter().filter(|state| state.ends) {
            let _ = writeln!(out, "    {} --> [*]", state.name);
        }
        out
    }

    /// The graph in the notation of Graphviz.
    pub fn to_dot(&self) -> String {
        let mut out = format!("digraph {:?} {{\n", self.name);
        for state in self.states {
            let live = self.live_variables(state).join(", ");
            let _ = writeln!(out, "    {} [label=\"{}\\n{live}\"];", state.name, state.name);
        }
        for (from, to) in self.edges {
            let _ = writeln!(out, "    {} -> {};", self.states[*from].name, self.states[*to].name);
        }
        for state in self.states.iter().filter(|state| state.ends) {
            let _ = writeln!(out, "    {} -> end;", state.name);
        }
        out.push_str("}\n");
        out
    }
}

impl fmt::Display for StateGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        for (index, state) in self.states.iter().enumerate() {
            write!(f, "  {}", state.name)?;
            if !state.awaits.is_empty() {
                write!(f, " (line {}): {}", state.line, state.awaits)?;
            }
            writeln!(f)?;
            let live = self.live_variables(state);
            if !live.is_empty() {
                writeln!(f, "    saves {}", live.join(", "))?;
            }
            for (_, to) in self.edges.iter().filter(|(from, _)| *from == index) {
                writeln!(f, "    -> {}", self.states[*to].name)?;
            }
            if state.ends {
                writeln!(f, "    -> end")?;
            }
            if let Some((joined, branch)) = state.within {
                writeln!(f, "    in branch {} of {}", branch + 1, self.states[joined].name)?;
            }
        }
        Ok(())
    }
}
