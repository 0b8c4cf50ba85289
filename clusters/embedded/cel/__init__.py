"""The Common Expression Language as a kube-apiserver speaks it: expressions of admission policies, custom resources and device classes.

Text and variables flow in, a plain value or an `EvaluationError` comes out. Source: k8s.io/apiserver/pkg/cel. The engine is cel-cpp
(cel-expr-python); it is loaded with the first expression, so that a cluster without any starts without it.
"""

from clusters.embedded.cel.expression import CompileError, EvaluationError, Expression, check, compiled
from clusters.embedded.cel.names import escaped

__all__ = ["CompileError", "EvaluationError", "Expression", "check", "compiled", "escaped"]
