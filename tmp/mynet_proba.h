
#include <eml_net.h>
static const float mynet_layer_0_biases[6] = { 0.118230f, -0.014356f, -0.846607f, 0.571451f, -0.398381f, 0.420069f };
static const float mynet_layer_0_weights[48] = { -0.012927f, 0.013450f, -0.005423f, 0.006077f, -0.012322f, -0.016355f, -0.002545f, -0.004284f, -0.001352f, 0.002853f, -0.002709f, -0.000395f, -0.002968f, 0.003752f, -0.006391f, 0.002087f, 0.000965f, 0.003824f, -0.011067f, 0.002017f, 0.010985f, 0.013367f, -0.004555f, -0.003585f, 0.002225f, 0.010158f, -0.003987f, -0.005203f, -0.002478f, 0.002953f, -0.000950f, -0.001495f, 0.006403f, 0.000926f, 0.000982f, 0.000106f, 0.001309f, 0.004924f, -0.004472f, 0.003335f, 0.003146f, 0.004830f, -0.002823f, -0.000544f, -0.004989f, -0.003168f, 0.002620f, -0.001278f };
static const float mynet_layer_1_biases[3] = { -0.459581f, 0.465963f, -0.389338f };
static const float mynet_layer_1_weights[18] = { 0.438082f, -0.781985f, -0.382781f, -0.890563f, -0.077068f, 0.813250f, -0.400168f, -0.002878f, 0.033957f, -0.447482f, -0.542012f, 0.297430f, 0.564247f, -0.345890f, 0.477499f, 0.631255f, 0.323463f, -1.194282f };
static float mynet_buf1[8];
static float mynet_buf2[8];
static const EmlNetLayer mynet_layers[2] = { 
{ 6, 8, mynet_layer_0_weights, mynet_layer_0_biases, EmlNetActivationRelu }, 
{ 3, 6, mynet_layer_1_weights, mynet_layer_1_biases, EmlNetActivationSoftmax } };
static EmlNet mynet = { 2, mynet_layers, mynet_buf1, mynet_buf2, 8 };

    int32_t
    mynet_predict(const float *features, int32_t n_features)
    {
        return eml_net_predict(&mynet, features, n_features);
    }
    

    int32_t
    mynet_regress(const float *features, int32_t n_features, float *out, int32_t out_length)
    {
        return eml_net_regress(&mynet, features, n_features, out, out_length);
    }
    

    float
    mynet_regress1(const float *features, int32_t n_features)
    {
        return eml_net_regress1(&mynet, features, n_features);
    }
    