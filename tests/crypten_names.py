# SPDX-License-Identifier: MIT
"""CrypTen 0.4.1's public names, as read off the package, by what has them."""

NAMES = {
    "crypten": """
        CrypTensor bernoulli cat cfg cryptensor enable_grad fill_cache generators
        get_cryptensor_type get_default_cryptensor_type init init_thread is_encrypted_tensor
        is_initialized load load_from_party log manual_seed no_grad print
        print_communication_stats rand randn register_cryptensor reset_communication_stats save
        save_from_party set_default_cryptensor_type set_grad_enabled stack trace trace_once uninit
        where
    """.split(),
    "MPCTensor": """
        AUTOGRAD_ENABLED FUNCTION_OVERRIDES PROTECTED_ATTRIBUTES PYTHON_BUILTIN REQUIRED_FUNCTIONS
        abs adaptive_avg_pool2d adaptive_max_pool2d add argmax argmin avg_pool2d backward
        bernoulli cat clone conv1d conv2d conv_transpose1d conv_transpose2d copy_ cos cossin cpu
        cuda cumsum data detach detach_ device dim div dot dropout enable_grad encoder eq erf exp
        expand flatten flip from_shares gather ge ger get_plain_text gt hardtanh index_add
        index_select inv_sqrt is_cuda le log log_softmax lt matmul max max_pool2d mean min mul
        narrow ne neg nelement new no_grad norm numel pad permute polynomial pos_pow pow prod rand
        randn reciprocal register_cryptensor relu repeat reshape reveal roll scatter scatter_add
        set set_grad_enabled shallow_copy shape share sigmoid sign sin size softmax split sqrt
        square squeeze stack sub sum t take tanh to trace transpose unbind unfold unsqueeze var
        view weighted_index weighted_sample where
    """.split(),
    "mpc": """
        MPCTensor arithmetic binary cfg get_default_provider ptype run_multiprocess ttp_required
    """.split(),
    "nn": """
        AdaptiveAvgPool2d AdaptiveMaxPool2d Add AvgPool2d BCELoss BCEWithLogitsLoss BatchNorm1d
        BatchNorm2d BatchNorm3d Cast Concat Constant ConstantOfShape ConstantPad1d ConstantPad2d
        ConstantPad3d Conv Conv1d Conv2d CosineSimilarity CrossEntropyLoss Div Dropout Dropout2d
        Dropout3d DropoutNd Equal Erf Exp Expand Flatten Gather Gemm GlobalAveragePool Graph
        GroupNorm Hardtanh L1Loss Linear LogSoftmax MSELoss MatMul MaxPool2d Mean Module
        ModuleDict ModuleList Mul Parameter Pow Range ReLU ReLU6 Reshape Sequential Shape Sigmoid
        Slice Softmax Sqrt Squeeze Sub Sum TF_AND_TF2ONNX Transpose Unsqueeze Where constant_
        dirac_ from_onnx from_pytorch from_tensorflow kaiming_normal_ kaiming_uniform_ normal_
        ones_ orthogonal_ sparse_ trunc_normal_ uniform_ xavier_normal_ xavier_uniform_ zeros_
    """.split(),
    "nn.Module": """
        SUPPORTS_PLAINTEXT_INPUTS add_module buffers children cpu cuda decrypt encrypt eval
        forward from_onnx load_state_dict modules named_buffers named_children named_modules
        named_parameters parameters register_buffer register_module register_parameter set_buffer
        set_parameter set_parameter_from_shares state_dict to train update_parameters zero_grad
    """.split(),
    "optim": """
        Optimizer SGD
    """.split(),
    "communicator": """
        Communicator DistributedCommunicator InProcessCommunicator get is_initialized uninit
    """.split(),
    "Communicator": """
        BYTES_PER_ELEMENT all_gather all_reduce barrier broadcast broadcast_obj gather get
        get_communication_stats get_distributed_backend get_name get_rank get_ttp_rank
        get_world_size initialize instance irecv is_initialized isend print_communication_stats
        recv recv_obj reduce reset_communication_stats scatter send send_obj set_name shutdown
    """.split(),
    "ArithmeticSharedTensor": """
        PRSS PRZS add add_ avg_pool2d cat clone conv1d conv2d conv_transpose1d conv_transpose2d
        copy_ cpu cuda cumsum data device dim div div_ dot encode encode_ encode_as encode_as_
        expand flatten flip from_shares gather ger get_plain_text index_add index_add_
        index_select is_cuda matmul mean mul mul_ narrow neg neg_ nelement new numel pad permute
        prod rank repeat reshape reveal reveal_batch roll scatter scatter_ scatter_add
        scatter_add_ shallow_copy share size split square square_ squeeze stack sub sub_ sum t
        take to trace transpose unbind unfold unsqueeze var view where
    """.split(),
    "BinarySharedTensor": """
        PRZS add cat clone copy_ cpu cuda cumsum device dim dot eq expand flatten flip from_shares
        gather ge ger get_plain_text gt index_add index_select is_cuda le lshift lshift_ lt mean
        narrow ne nelement new numel permute prod rand rank repeat reshape reveal reveal_batch
        roll rshift rshift_ scatter scatter_ scatter_add shallow_copy share size split squeeze
        stack sum t take to trace transpose unbind unfold unsqueeze var view where
    """.split(),
    "differentiable": """
        __getitem__ __rsub__ __rtruediv__ _feature_dropout abs add avg_pool2d batchnorm
        binary_cross_entropy binary_cross_entropy_with_logits cat clone conv1d conv2d cos
        cosine_similarity cross_entropy cumsum div dot dropout erf exp flatten flip gather ger
        hardtanh index_select log log_softmax matmul max max_pool2d mean min mul narrow neg norm
        pad permute polynomial pos_pow pow rappor_loss reciprocal relu relu6 reshape roll scatter
        sigmoid sign sin softmax sqrt square squeeze stack sub sum t take tanh trace transpose
        unsqueeze var view
    """.split(),
}
