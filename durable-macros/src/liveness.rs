//! Liveness: which variables are needed from where on. A backward dataflow over the blocks; knows
//! the IR only.

use std::collections::BTreeSet;

use crate::ir::{BlockId, BlockKind, Body, Exit, Fragment, Node, Seq, VarId};

/// The variables alive where each block begins.
#[derive(Debug)]
pub(crate) struct Liveness {
    live_in: Vec<BTreeSet<VarId>>,
}

impl Liveness {
    /// Solves the dataflow to its fixed point.
    pub(crate) fn of(body: &Body) -> Self {
        let mut liveness = Self { live_in: vec![BTreeSet::new(); body.blocks.len()] };
        let mut changed = true;
        while changed {
            changed = false;
            for id in body.block_ids().rev() {
                let live = liveness.at_block(body, id);
                if live != liveness.live_in[id.0] {
                    liveness.live_in[id.0] = live;
                    changed = true;
                }
            }
        }
        liveness
    }

    /// What is alive where the block begins.
    pub(crate) fn live_in(&self, block: BlockId) -> &BTreeSet<VarId> {
        &self.live_in[block.0]
    }

    fn at_block(&self, body: &Body, id: BlockId) -> BTreeSet<VarId> {
        let block = body.block(id);
        let mut live = self.before_seq(body, &block.code, BTreeSet::new());
        if let BlockKind::Resume { result, .. } = block.kind {
            live.remove(&result);
        }
        live
    }

    fn before_seq(&self, body: &Body, seq: &Seq, after: BTreeSet<VarId>) -> BTreeSet<VarId> {
        seq.iter().rev().fold(after, |live, node| self.before_node(body, node, live))
    }

    fn before_node(&self, body: &Body, node: &Node, mut live: BTreeSet<VarId>) -> BTreeSet<VarId> {
        match node {
            Node::Begin(_) | Node::End(_) => {}
            Node::Declare { var } => {
                live.remove(var);
            }
            Node::Code(fragment) => self.fragment(fragment, &mut live),
            Node::Assign { var, value } => {
                live.remove(var);
                self.fragment(value, &mut live);
            }
            Node::Let(binding) => {
                remove_all(&mut live, &binding.binds);
                if let Some(otherwise) = &binding.otherwise {
                    live.extend(self.before_seq(body, otherwise, BTreeSet::new()));
                }
                self.fragment(&binding.init, &mut live);
            }
            Node::If { condition, binds, then, otherwise } => {
                let mut both = self.before_seq(body, then, live.clone());
                remove_all(&mut both, binds);
                both.extend(self.before_seq(body, otherwise, live));
                live = both;
                self.fragment(condition, &mut live);
            }
            Node::Match { scrutinee, arms } => {
                let mut any = BTreeSet::new();
                for arm in arms {
                    let mut arm_live = self.before_seq(body, &arm.code, live.clone());
                    if let Some(guard) = &arm.guard {
                        self.fragment(guard, &mut arm_live);
                    }
                    remove_all(&mut arm_live, &arm.binds);
                    any.extend(arm_live);
                }
                live = any;
                self.fragment(scrutinee, &mut live);
            }
            Node::Exit(exit) => live = self.before_exit(body, exit),
        }
        live
    }

    fn before_exit(&self, body: &Body, exit: &Exit) -> BTreeSet<VarId> {
        match exit {
            Exit::Goto(target) => self.live_in(*target).clone(),
            Exit::Suspend { site, call } => {
                let mut live = self.live_in(body.awaits[site.0].resume).clone();
                self.fragment(call, &mut live);
                live
            }
            Exit::Return(value) => {
                let mut live = BTreeSet::new();
                self.fragment(value, &mut live);
                live
            }
        }
    }

    fn fragment(&self, fragment: &Fragment, live: &mut BTreeSet<VarId>) {
        // What the fragment assigns on the way is not needed before it.
        match &fragment.defines {
            Some(defines) => live.retain(|var| !defines.contains(var)),
            None => live.clear(),
        }
        for jump in &fragment.jumps {
            live.extend(self.live_in(jump.target).difference(&jump.defines));
        }
        live.extend(&fragment.uses);
    }
}

fn remove_all(live: &mut BTreeSet<VarId>, vars: &[VarId]) {
    for var in vars {
        live.remove(var);
    }
}
